"""Pages by an HTML parser of their own: what is text stays text, and nothing but the page's own script may run."""

import base64
import hashlib
from html.parser import HTMLParser

from mcvae_jax.pages.document import document
from mcvae_jax.pages.elements import bullets, cell, definitions, details, paragraph, png, table
from mcvae_jax.text import for_html

HOSTILE = "</title><script>alert(\"1\")</script><img src=x onerror='alert(2)'> & \x1b[2J \ud800 $x"
SHOWN = HOSTILE.replace("\x1b", "\\x1b").replace("\ud800", "\\ud800")


class Reader(HTMLParser):
    """Tags with their attributes, and the text of each."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open[-1] == tag or "meta" in self.open or "link" in self.open
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data))

    def of(self, tag):
        return [data for where, data in self.texts if where == tag]


def rules(page):
    (content,) = [a["content"] for tag, a in Reader(page).tags if a.get("http-equiv") == "Content-Security-Policy"]
    return dict(rule.split(" ", 1) for rule in content.split("; "))


def test_text_stays_text_everywhere():
    parts = [
        paragraph(HOSTILE, "hint"),
        bullets([HOSTILE]),
        table([HOSTILE], [[cell(HOSTILE, "name", below=HOSTILE)]]),
        details(HOSTILE, definitions({HOSTILE: {"a": HOSTILE}})),
    ]
    read = Reader(document(HOSTILE, "".join(parts)))
    assert not [tag for tag, _ in read.tags if tag in ("script", "img")]
    for tag in ("title", "p", "li", "th", "td", "small", "summary", "dt"):
        assert read.of(tag) == [SHOWN], tag
    assert read.of("dd") == [f"a {SHOWN}"]
    assert f'"{for_html(HOSTILE)}"'.count('"') == 2 and "'" not in for_html(HOSTILE)


def test_values_in_words():
    facts = {"a": {"b": 1, "c": [True, None, 0.123456789]}, "d": False}
    assert Reader(definitions(facts)).of("dd") == ["b 1, c yes, none, 0.12346", "no"]


def test_a_page_lets_nothing_in_and_runs_its_own_script_alone():
    still, moving = document("t", "<p>x</p>"), document("t", "<p>x</p>", script="let a = 1 < 2;\n", media="blob:")
    assert rules(still)["default-src"] == "'none'" and "script-src" not in rules(still)
    assert "<script" not in still and "media-src" not in rules(still)
    script = moving[moving.index("<script>") + len("<script>") : moving.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules(moving)["script-src"] == f"'sha256-{digest}'" and rules(moving)["media-src"] == "blob:"
    assert "http:" not in moving and "https:" not in moving and "url(" not in moving


def test_own_style_comes_after_the_shared_one_and_search_engines_are_asked():
    page = document("t", "", style="p { color: red; }", listed=False)
    (style,) = Reader(page).of("style")
    assert style.index("--page") < style.index("color: red")
    robots = {"name": "robots", "content": "noindex"}
    assert ("meta", robots) in Reader(page).tags and ("meta", robots) not in Reader(document("t", "")).tags


def test_a_picture_is_part_of_the_page(tmp_path):
    (tmp_path / 'a"b.png').write_bytes(b"\x89PNG data")
    ((tag, attributes),) = Reader(png(tmp_path / 'a"b.png')).tags
    assert (tag, attributes["alt"]) == ("img", 'a"b')
    assert base64.b64decode(attributes["src"].removeprefix("data:image/png;base64,")) == b"\x89PNG data"
