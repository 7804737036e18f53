"""The weights that the package carries (CARD.md says what they are), and the command that makes such files."""
