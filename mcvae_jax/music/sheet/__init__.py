"""A melody as a score on paper: bars -> Sheet -> MusicXML, ABC or a picture (SVG).

sheet.py makes the sheet: layout.py says which measures are written (repeats.py finds what is played twice), symbols.py
what stands in them (spans.py and tuplets.py divide durations, spelling.py names pitches). musicxml.py, abc.py and
svg.py write it. The readers of these formats are beside this package.
"""
