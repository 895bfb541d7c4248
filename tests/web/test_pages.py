"""The pages over HTTP: what each says and carries, in both languages, and that nothing in a digest is obeyed."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import httpx
import pytest

from . import samples

PATHS = (
    "/",
    "/digests",
    "/digests/2025-02-03",
    "/digests/2025-02-04",
    "/digests/2024-12-04",
    "/papers/2411.19870",
    "/papers/2412.00100",
    f"/papers/{samples.KOREAN}",
    f"/papers/{samples.ENGLISH}",
    "/families",
    "/families/diffusion",
    "/search",
    "/search?q=model&verdict=upheld",
    "/machines",
    "/machines/m1",
    "/runs",
    "/runs/demo-1-trial",
    "/runs/demo-9-fault",
)


class Parsed(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_whole_and_carries_its_headers(client: httpx.Client, path: str, lang: str) -> None:
    answer = client.get(path, params=dict(httpx.URL(path).params) | {"lang": lang})
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for name in ("x-content-type-options", "referrer-policy", "x-frame-options", "etag"):
        assert name in answer.headers
    page = Parsed(answer.text)
    assert page.tags[0] == ("html", {"lang": lang, "data-theme": "system"})
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == 1 and names.count("main") == 1 and names.count("title") == 1
    assert not set(names) & {"style", "iframe", "object", "base"}
    for tag, attrs in page.tags:
        assert "style" not in attrs and not any(name.startswith("on") for name in attrs), (tag, attrs)
        if tag == "script":
            assert (attrs["src"] or "").startswith("/assets/")
        if tag == "img":
            assert (attrs["src"] or "").startswith(("/charts/", "/pictures/"))
            assert attrs["alt"] and attrs["width"] and attrs["height"], attrs
    assert len(answer.content) < 100_000
    assert 'property="og:title"' in answer.text and 'hreflang="ko"' in answer.text


@pytest.mark.parametrize("path", PATHS)
def test_every_link_of_the_site_leads_somewhere(client: httpx.Client, path: str) -> None:
    page = Parsed(client.get(path).text)
    named = [
        attrs.get("href") or attrs.get("src") or "" for tag, attrs in page.tags if tag in ("a", "img", "link")
    ]
    ours = dict.fromkeys(link.partition("#")[0] for link in named if link.startswith("/"))
    skip = [link for link in ours if re.match(r"/(charts|runs|papers|machines)/", link)][6:]
    for link in ours.keys() - set(skip):
        answer = client.get(link, follow_redirects=False)
        assert answer.status_code == 200, link


def test_a_page_weighs_little(client: httpx.Client) -> None:
    page = client.get("/")
    parts = [
        attrs.get("src") or attrs.get("href")
        for tag, attrs in Parsed(page.text).tags
        if tag in ("script", "link")
    ]
    files = [client.get(part).content for part in parts if part and part.startswith("/assets/")]
    assert len(files) == 4
    assert len(page.content) + sum(map(len, files)) < 100_000, "not even compressed"


def test_a_hostile_digest_is_shown_and_not_obeyed(client: httpx.Client) -> None:
    for path in (
        "/",
        "/digests/2025-02-04",
        f"/papers/{samples.ENGLISH}",
        "/search?q=quotes",
        "/feeds/digests.xml",
    ):
        text = client.get(path).text
        assert "<script>" not in text and "<style" not in text, path
        page = Parsed(text)
        for tag, attrs in page.tags:
            for name in ("src", "href", "action"):
                value = attrs.get(name) or ""
                assert not value.lower().startswith(("javascript:", "data:")), (path, tag, value)
                assert tag == "a" or "example.org" not in value, (path, tag, value)
    shown = client.get("/digests/2025-02-04").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown and "<code>code</code>" in shown
    assert 'href="https://example.org/a?b=1&amp;c=2"' in shown
    assert "&lt;script&gt;alert(&#39;log&#39;)" in client.get("/runs/demo-1-trial").text
    assert "killed &lt;b&gt;here&lt;/b&gt;" in client.get("/runs/demo-9-fault").text


def test_what_a_digest_says_and_what_was_measured_are_told_apart(client: httpx.Client) -> None:
    paper = client.get("/papers/2411.19870").text
    printed, measured = paper.index('class="printed"'), paper.index('class="measured"')
    assert "printed by the authors, not measured here" in paper[printed:measured]
    assert "85" in paper[printed:measured] and "0.01" not in paper[printed:measured]
    assert "0.01</b>" in paper[measured:] and "A small machine" in paper[measured:]
    assert "the trial is broken" in paper, "the planted fault was upheld on m1"
    digest = client.get("/digests/2025-02-03").text
    assert "The digest's words, not checked here" in digest.replace("&#39;", "'")
    assert "the residual is dropped" in paper and "test loss &lt;b&gt;" in paper


def test_the_language_is_asked_for_kept_and_else_the_browsers(server: str) -> None:
    with httpx.Client(base_url=server) as reader:
        assert 'lang="ko"' in reader.get("/", headers={"accept-language": "ko-KR,en;q=0.5"}).text[:200]
        assert 'lang="en"' in reader.get("/", headers={"accept-language": "de"}).text[:200]
        assert 'lang="ko"' in reader.get("/?lang=ko").text[:200]
        kept = reader.get("/families", headers={"accept-language": "en"})
        assert 'lang="ko"' in kept.text[:200] and "분야" in kept.text
        assert 'data-theme="dark"' in reader.get("/?theme=dark").text[:200]
        assert 'data-theme="dark"' in reader.get("/runs").text[:200]
        assert reader.get("/?lang=fr").status_code == 422 and reader.get("/?theme=pink").status_code == 422
        reader.cookies.set("theme", '"><script>')
        assert 'data-theme="system"' in reader.get("/", headers={"cookie": 'theme="><script>'}).text[:200]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/papers/9912.00000", 404),
        ("/papers/nonsense", 422),
        ("/papers/..%2f..%2fetc%2fpasswd", 422),
        ("/papers/2411.19870%00", 422),
        ("/digests/2024-13-45", 404),
        ("/digests/today", 422),
        ("/digests/2025-02-03?page=9", 404),
        ("/families/none-such", 404),
        ("/families/diffusion?before=x", 422),
        ("/families/diffusion?before=99999999999999999999", 422),
        ("/search?since=2024-02-30", 422),
        ("/search?since=0000-00-00", 422),
        ("/search?verdict=maybe", 422),
        ("/search?page=1000", 422),
        ("/machines/none", 404),
        ("/machines/m1?before=2024-01-01", 422),
        ("/machines/m1?before=0001-01-01T00:00:00%2B23:00", 422),
        ("/runs/none", 404),
        ("/runs?before=nan-x", 422),
        ("/runs?before=1e300-x", 422),
        ("/runs?before=x", 422),
        ("/runs?paper=%27", 422),
        ("/assets/..%2f..%2fpyproject.toml", 404),
        ("/pictures/..%2fx.png", 404),
        ("/pictures/none.png", 404),
        ("/charts/2411.19870/traffic/shipped/186124ce1088/here/400.svg", 404),
        ("/charts/2411.19870/traffic/elsewhere/m/here/0.svg", 422),
        ("/charts/runs/demo-1-trial/7.svg", 404),
        ("/sitemaps/2024-13.xml", 422),
        ("/feeds/families/none.xml", 404),
        ("/nowhere", 404),
        ("/api/nowhere", 404),
        ("/api/papers/9912.00000", 404),
    ],
)
def test_a_bad_address_is_refused_in_the_form_it_asked_for(
    client: httpx.Client, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert "Traceback" not in answer.text and "content-security-policy" in answer.headers
    if path.startswith("/api"):
        assert answer.json()["detail"]
    elif answer.headers["content-type"].startswith("text/html"):
        assert Parsed(answer.text).tags[0][0] == "html"


def test_other_hosts_methods_and_long_queries_are_refused(client: httpx.Client) -> None:
    assert client.get("/", headers={"host": "evil.example.org"}).status_code == 421
    assert client.get("/", headers={"host": "127.0.0.1@evil"}).status_code == 421
    assert client.get("/", headers={"host": "localhost:1"}).status_code == 200
    assert client.post("/").status_code == 405 and client.delete("/api/runs").status_code == 405
    assert client.get("/search?q=" + "a" * 5000).status_code == 414
    assert client.get("/search?q=" + "a" * 400).status_code == 422


def test_counts_facts_and_missing_figures_have_their_words(client: httpx.Client) -> None:
    assert ">1 paper<" in client.get("/digests").text and ">1편<" in client.get("/digests?lang=ko").text
    assert "코어" in client.get("/machines/m1").text, "the language is kept"
    paper = client.get(f"/papers/{samples.KOREAN}?lang=en").text
    assert "No figure in print" in paper and "[unverified]" not in paper
    family = client.get("/families/diffusion").text
    assert "(not checked at the source)" in family and "[unverified]" not in family
    assert client.get("/api/papers/2411.19870").json()["claims"][0]["printed"]["verified"] in (True, False)


def test_answers_are_kept_by_their_tags(client: httpx.Client) -> None:
    first = client.get("/papers/2411.19870")
    again = client.get("/papers/2411.19870", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    assert client.get("/papers/2411.19870?lang=ko").headers["etag"] != first.headers["etag"]
    assert "Cookie" in first.headers["vary"] and first.headers["cache-control"] == "no-cache"
    style = re.search(r'href="(/assets/site\.[0-9a-f]{10}\.css)"', first.text)
    assert style is not None
    assert "immutable" in client.get(style[1]).headers["cache-control"]
    head = client.head("/papers/2411.19870")
    assert head.status_code == 200 and head.content == b"" and head.headers["etag"]


def test_charts_are_drawn_by_the_reports_code(client: httpx.Client) -> None:
    text = client.get("/papers/2411.19870").text
    charts = re.findall(r'src="(/charts/[^"]+/record/[^"]+)"', text)
    assert len(charts) == 3
    answer = client.get(charts[0].replace("&amp;", "&"))
    assert (
        answer.headers["content-type"] == "image/svg+xml" and "immutable" in answer.headers["cache-control"]
    )
    assert answer.text.count('aria-roledescription="circle"') == 6, "a point for every seed of both arms"
    assert " style=" not in answer.text and "<script" not in answer.text and "currentColor" not in answer.text


def test_pictures_of_trials_are_served_from_memory(client: httpx.Client) -> None:
    text = client.get("/papers/2412.00100").text
    (picture,) = set(re.findall(r'src="(/pictures/[^"]+)"', text))
    answer = client.get(picture)
    assert answer.content.startswith(b"\x89PNG") and answer.headers["content-type"] == "image/png"


def test_search_has_its_filters_and_pages_without_script(client: httpx.Client) -> None:
    text = client.get("/search?q=model").text
    assert 'rel="next"' in text and "page=2" in text
    assert client.get("/search?q=model&page=2").text.count('href="/papers/') > 5
    part = client.get("/search?q=나무&part=hits").text
    assert "<html" not in part and samples.KOREAN in part
    empty = client.get("/search?q=&family=&verdict=&needs=&since=&until=")
    assert empty.status_code == 200 and 'href="/papers/' not in empty.text
    assert "Nothing found" in client.get("/search?q=zzzzqqq").text
