"""One song: bytes -> score -> melody -> tokens -> bars, and back."""
