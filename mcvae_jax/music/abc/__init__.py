"""ABC, standard 2.1 and the older spellings in which most books are written.

text.py cuts a book into tunes and a tune into lines; signs.py cuts a line of music into signs; fields.py reads what
stands in fields; voice.py puts the notes of one voice into measures; tune.py reads a tune line by line; piece.py
makes one piece of its voices and parts; book.py is the reader, and bounds what a book may ask for.
"""
