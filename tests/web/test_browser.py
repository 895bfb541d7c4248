"""The site in Debian's Chromium: every page at three widths in both themes, axe, switches, search, no JavaScript."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from . import samples
from .conftest import until

pytestmark = pytest.mark.browser
PAGES = (
    "/",
    "/digests",
    "/digests/2025-02-03",
    "/digests/2025-02-04",
    "/papers/2411.19870",
    "/papers/2412.00100",
    f"/papers/{samples.KOREAN}",
    "/families",
    "/families/diffusion",
    "/search?q=model",
    "/machines",
    "/machines/m1",
    "/runs",
    "/runs/demo-1-trial",
)
# WCAG 2.2 A and AA, and axe's best practices.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}  # what a theme may change


def problems(page: Any, rules: Any = RULES) -> list[str]:
    """What axe finds, one line each."""
    found = Axe().run(page, options=rules).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(
    "path", [path for path in PAGES if path != "/papers/2412.00100"]
)  # one long one will do
def test_axe_finds_nothing_in_either_theme(page: Any, server: str, path: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    lang = "ko" if PAGES.index(path) % 2 else "en"
    page.goto(f"{server}{path}{'&' if '?' in path else '?'}lang={lang}")
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for scheme, rules in (("light", RULES), ("dark", CONTRAST)):
        page.emulate_media(color_scheme=scheme)
        assert problems(page, rules) == [], scheme
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground)[:3])) < 60, "dark"


def test_axe_finds_nothing_on_an_error_page(page: Any, server: str) -> None:
    page.goto(f"{server}/digests?lang=ko")
    page.evaluate("document.querySelector('h1').textContent = ''")
    assert problems(page) != [], "axe is at work: a heading without text is found"
    page.goto(f"{server}/search?q=zzzzqqq")
    assert problems(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_every_width(page: Any, server: str, path: str) -> None:
    for width in (1600, 800, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(server + path)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        low = page.locator("header.top a, header.top input, main button").evaluate_all(
            "all => all.filter(x => x.offsetParent).filter(x => x.getBoundingClientRect().height < 24).length"
        )
        assert low == 0, f"targets under 24 px at {width}"
    assert page.evaluate("document.querySelector('.pages ul').getBoundingClientRect().height") < 45, "one row"
    beyond = "all => all.filter(x => x.scrollWidth > x.parentElement.clientWidth).map(x => x.className)"
    assert page.locator("table.stacked").evaluate_all(beyond) == [], "on a phone these tables are lists"


def test_nothing_moves_while_a_page_loads(page: Any, server: str) -> None:
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(e => window.moved += e.value))"
        ".observe({type: 'layout-shift', buffered: true})"
    )
    page.goto(f"{server}/papers/2411.19870", wait_until="networkidle")
    page.mouse.wheel(0, 3000)
    page.wait_for_load_state("networkidle")
    charts = page.locator(".charts img")
    assert charts.count() >= 6
    charts.last.scroll_into_view_if_needed()
    until(page, "Array.from(document.images).some(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("window.moved") < 0.01


LIGHT = """() => {
  const small = [...document.querySelectorAll('main *')].filter(x => x.children.length === 0 && x.textContent.trim()
    && x.offsetParent && parseFloat(getComputedStyle(x).fontSize) < 11).map(x => x.outerHTML.slice(0, 80));
  const loaded = performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'));
  return {
    small,
    bare: [...document.images].filter(i => !i.alt || !i.width || !i.height).length,
    named: ['title', 'meta[name=description]', 'meta[name=viewport]', 'link[rel=canonical]', 'link[rel=icon]']
      .filter(s => !document.querySelector(s)),
    blocking: [...document.querySelectorAll('head script:not([defer]), head link[rel=stylesheet]')].length,
    links: [...document.querySelectorAll('main a')].filter(a => !a.textContent.trim() && !a.ariaLabel).length,
    headings: [...document.querySelectorAll('h1')].length,
    requests: loaded.filter(e => e.initiatorType !== 'img').length,
    bytes: loaded.filter(e => e.initiatorType !== 'img').reduce((sum, e) => sum + e.transferSize, 0)}}"""


@pytest.mark.parametrize("path", ["/", "/papers/2412.00100", "/search?q=model"])
def test_what_lighthouse_would_ask_of_a_page(page: Any, server: str, path: str) -> None:
    answers: list[Any] = []
    page.on("response", lambda answer: answers.append(answer))
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(server + path, wait_until="networkidle")
    told = page.evaluate(LIGHT)
    assert (told["small"], told["bare"], told["named"], told["links"], told["headings"]) == ([], 0, [], 0, 1)
    assert told["blocking"] == 2 and told["requests"] <= 6 and 1000 < told["bytes"] < 100_000, told
    for answer in answers:
        kind, length = answer.headers["content-type"], int(answer.headers.get("content-length", 9999))
        if length > 800 and not kind.startswith("image/png"):
            assert answer.headers.get("content-encoding") == "gzip", answer.url
        if "/assets/" in answer.url:
            assert "immutable" in answer.headers["cache-control"], answer.url


def test_search_as_you_type_and_back(page: Any, server: str) -> None:
    page.goto(f"{server}/families")
    page.get_by_role("search").get_by_role("searchbox").fill("diffusion")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=diffusion")
    box = page.locator("#q")
    assert box.input_value() == "diffusion"
    box.fill("")
    box.press_sequentially("나무 구조")
    page.locator(f"#hits a[href='/papers/{samples.KOREAN}']").wait_for()
    assert page.locator("#hits li h2").count() == 1
    page.wait_for_url("**/search?q=%EB%82%98%EB%AC%B4*")
    page.locator("#verdict").select_option("upheld")
    page.locator("#hits").get_by_text("Nothing found").wait_for()
    page.locator("#verdict").select_option("out of reach")
    page.locator("#hits li h2 a").click()
    page.wait_for_url(f"**/papers/{samples.KOREAN}")
    page.go_back()
    assert page.locator("#q").input_value() == "나무 구조"
    assert page.locator("#hits li h2").count() == 1
    page.go_back()
    page.wait_for_url("**/families")
    page.go_forward()
    page.wait_for_url("**/search?q=*")


def test_the_language_is_switched_and_kept(page: Any, server: str) -> None:
    page.goto(f"{server}/machines")
    assert page.locator("html").get_attribute("lang") == "en"
    page.get_by_role("link", name="한국어").click()
    assert page.locator("html").get_attribute("lang") == "ko"
    page.get_by_role("navigation", name="메뉴").get_by_role("link", name="분야").click()
    page.wait_for_url("**/families")
    assert page.locator("h1").inner_text() == "분야"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).wordBreak") == "keep-all"
    page.goto(f"{server}/papers/2411.19870")
    summary = page.locator(".summary").first.inner_text()
    assert "모멘텀" in summary and "새로운 점" in summary and "What's New" not in summary
    page.get_by_role("link", name="English").click()
    assert "momentum" in page.locator(".summary").first.inner_text()


def test_the_theme_is_switched_in_every_tab_and_kept(page: Any, server: str) -> None:
    def ground(one: Any) -> str:
        return str(one.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.goto(server)
    other = page.context.new_page()
    other.goto(f"{server}/runs")
    light = ground(page)
    page.locator(".themes a[data-theme=dark]").click()
    assert ground(page) != light and page.url == f"{server}/"
    until(other, "document.documentElement.dataset.theme === 'dark'")
    assert ground(other) == ground(page)
    other.reload()
    assert other.locator("html").get_attribute("data-theme") == "dark"
    assert 'data-theme="dark"' in page.context.request.get(f"{server}/families").text(), (
        "the server knows it too"
    )
    page.locator(".themes a[data-theme=system]").click()
    assert ground(page) == light


def test_two_tabs_do_not_disturb_each_other(page: Any, server: str) -> None:
    page.goto(f"{server}/search?q=diffusion")
    other = page.context.new_page()
    other.goto(f"{server}/search?q=attention")
    other.locator("#q").fill("나무")
    other.locator(f"#hits a[href='/papers/{samples.KOREAN}']").wait_for()
    page.reload()
    assert page.locator("#q").input_value() == "diffusion"
    assert page.locator("#hits li").count() > 3


def test_without_javascript_everything_is_there(browser: Any, server: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 800, "height": 700})
    page = context.new_page()
    page.goto(server)
    page.locator("#find").fill("나무 구조")
    page.locator("#find").press("Enter")
    assert page.locator("#hits li h2").count() == 1
    page.locator("#verdict").select_option("out of reach")
    page.locator("form.search button").click()
    assert "verdict=out+of+reach" in page.url and page.locator("#hits li h2").count() == 1
    page.get_by_role("link", name="한국어").click()
    assert page.locator("html").get_attribute("lang") == "ko" and "verdict=out+of+reach" in page.url
    page.locator(".themes a[data-theme=dark]").click()
    page.goto(f"{server}/papers/2411.19870")
    assert (page.locator("html").get_attribute("lang"), page.locator("html").get_attribute("data-theme")) == (
        "ko",
        "dark",
    )
    assert page.locator(".results").first.is_visible() and not page.locator("button.copy").first.is_visible()
    page.locator("details summary").first.click()
    assert page.locator("details").first.get_attribute("open") is not None
    context.close()


def test_the_keyboard_reaches_everything_and_is_seen(page: Any, server: str) -> None:
    page.goto(f"{server}/papers/2411.19870")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break  # past the last one, in the browser's own bars
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", page.evaluate("document.activeElement.outerHTML")


def test_verdicts_differ_by_word_sign_and_edge(page: Any, server: str) -> None:
    page.goto(server)
    look = """names => names.map(name => {
      const one = document.createElement('span'); one.className = 'verdict ' + name; document.body.append(one);
      const s = getComputedStyle(one), b = getComputedStyle(one, '::before');
      return [b.content, s.borderStyle + s.borderWidth + s.borderRadius].join('|') })"""
    names = ["upheld", "not-upheld", "inconclusive", "out-of-reach", "failed"]
    looks = page.evaluate(look, names)
    assert (
        len({one.split("|")[0] for one in looks}) == len({one.split("|")[1] for one in looks}) == len(names)
    )
    edges = page.goto(f"{server}/papers/2411.19870") and page.evaluate(
        "['.printed', 'section.measured'].map(x => getComputedStyle(document.querySelector(x)).borderTopStyle)"
    )
    assert edges == ["dashed", "solid"]


def test_a_paper_prints_without_the_site_around_it(page: Any, server: str) -> None:
    page.goto(f"{server}/papers/2411.19870")
    page.emulate_media(media="print")
    assert not page.locator("header.top").is_visible() and page.locator(".results").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
