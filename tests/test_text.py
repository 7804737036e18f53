"""Text of any kind stays text wherever it is shown."""

import csv
import html
import io
import sys
from html.parser import HTMLParser

import pytest

from mcvae_jax import command, text
from mcvae_jax.errors import UserError

HOSTILE = [
    "\x1b[2J\x1b]0;title\x07",
    "\u202egpj.exe\u2066\u200b",
    "\ud800half",
    "line\r\nbreak\u2028and\x85more",
    "</title><script>alert(1)</script>",
    "\" onload='x' &amp;",
    "=CMD|' /C calc'!A0",
    "| `a` *b* [c](d) ~e~ <f> # $g$",
    "# heading",
    "1. item",
    "- item",
    "\\",
    "plain é 日本",
]


@pytest.mark.parametrize("given", HOSTILE)
def test_a_line_for_a_terminal_is_one_printable_line(given):
    shown = text.printable(given)
    assert shown.isprintable() and shown.encode("utf-8")
    assert text.printable(shown) == shown


def test_what_can_be_shown_stays_as_it_is():
    assert text.printable("plain é 日本 \\n $x$ <b>") == "plain é 日本 \\n $x$ <b>"
    assert text.printable("\x1b\u202e\ud800\n") == r"\x1b\u202e\ud800\n"
    assert text.printable(7) == "7"


def test_brief_bounds_what_a_message_repeats():
    assert text.brief("x" * 80) == "x" * 80
    assert text.brief("\x1b" * 10**6).isprintable() and len(text.brief("\x1b" * 10**6)) < 100


@pytest.mark.parametrize("given", HOSTILE)
def test_html_has_the_text_and_no_more(given):
    class Parser(HTMLParser):
        found, tags = "", 0

        def handle_data(self, data):
            self.found += data

        def handle_starttag(self, tag, attrs):
            self.tags += 1
            self.attrs = attrs

    parser = Parser()
    parser.feed(f'<p title="{text.for_html(given)}">{text.for_html(given)}</p>')
    parser.close()
    assert (parser.tags, parser.found, parser.attrs) == (1, text.printable(given), [("title", text.printable(given))])
    assert html.unescape(text.for_html(given)) == text.printable(given)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", " =", "\n=", "\r=", "\uff1d", "\0=", "\u200b="])
def test_no_cell_is_a_formula(start):
    given = f'{start}HYPERLINK("x";A1),1;=2'
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC).writerow([text.for_csv(given), 1.5])
    (row,) = csv.reader(io.StringIO(buffer.getvalue()))
    assert row[0][0] in "'\\" and row[1] == "1.5"
    assert buffer.getvalue().startswith('"')  # separators of other languages, such as ;, part nothing


def test_numbers_and_plain_cells_stay_as_they_are():
    assert [text.for_csv(value) for value in (-1.5, None, "a\nb", "a=b")] == [-1.5, None, "a\nb", "a=b"]


def test_markdown_by_hand():
    assert text.for_markdown("a|b\n*c* <d> \x1b") == r"a\|b \*c\* \<d\> \\x1b"
    assert [text.for_markdown(start) for start in ("# x", "1. x", "- x", "+ x", "12) x", "1.5")] == [
        r"\# x", r"1\. x", r"\- x", r"\+ x", r"12\) x", r"1\.5",
    ]  # fmt: skip


def test_dollars_in_a_figure_are_dollars():
    from matplotlib.cbook import is_math_text

    assert text.for_figure("$\\frac{$ a $5") == r"\$\frac{\$ a \$5"
    assert not is_math_text(text.for_figure("$\\frac{$ a $5"))


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_whatever_is_said_reaches_a_terminal_as_text(encoding, monkeypatch):
    bytes_ = io.BytesIO()
    stream = io.TextIOWrapper(bytes_, encoding)
    command.say("\n".join(HOSTILE[:3]), stream)
    shown = bytes_.getvalue().decode(encoding)
    assert shown.count("\n") == 3 and all(line.isprintable() for line in shown.split("\n"))


def test_an_error_is_one_line_whatever_name_is_in_it(monkeypatch, capsys):
    def main(argv):
        raise UserError("no file \x1b[2J\nhere\u202e")

    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(SystemExit) as caught:
        command.run_command(main)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "Error: no file \\x1b[2J here\\u202e\n"
