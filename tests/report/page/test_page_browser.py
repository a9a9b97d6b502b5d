"""The page in a browser: charts, filters, hostile texts, widths, colour schemes, paper and accessibility."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import page_runs
import pytest
from axe_playwright_python.sync_playwright import Axe
from page_browser import HOSTILE, chromium, marks, opened, overflow
from page_runs import SWEEP, Shape
from playwright.sync_api import Browser, Page

from draftwise.report.page import build_page

SHAPES = {
    "usual": Shape(),
    "long names": Shape(sweep=SWEEP, prompts=2, subtasks=("x" * 60, "a subtask of many words " * 2 + "end")),
    "hostile": Shape(texts=HOSTILE, subtasks=("<script>alert(4)</script>", '"onerror="', "{{7*7}}"), prompts=8),
    "no baseline": Shape(methods=("sps", "bild"), prompts=2),
    "one method": Shape(methods=("as",), prompts=2),
    "no costs, no references": Shape(costs=False, references=False, prompts=2),
    "checks alone": Shape(samples=False, prompts=2),
    "killed at once": Shape(samples=False, checks=False, costs=False, prompts=2),
}
CHARTS = {
    *("chart-speedup", "chart-quality", "chart-histogram", "chart-position", "chart-time", "chart-cost"),
    *("chart-expected", "chart-bandwidth", "chart-samples"),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, shape in SHAPES.items():
        found[name] = folder / f"{name.replace(' ', '-')}.html"
        run, summary = page_runs.make_run(shape)
        if name == "long names":
            for label, row in summary["environment"]["methods"].items():
                row["title"] = label + " draft=some-organisation/a-model-of-a-very-long-name" * (
                    row["method"] == "bild"
                )
        found[name].write_text(build_page(run, summary), encoding="utf-8")
    return found


def tasks_shown(page: Page) -> list[str]:
    return page.locator("#browser .task h3 small").all_inner_texts()


def test_a_page_opens_without_errors_and_every_chart_has_marks(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["usual"]) as seen:
        found = marks(seen.page)
        assert set(found) == CHARTS
        assert min(found.values()) >= 2, found
        assert found["chart-samples"] > 1900
        assert seen.errors == []
        assert seen.requests == [pages["usual"].as_uri()]


@pytest.mark.parametrize(
    "name", ["no baseline", "one method", "no costs, no references", "checks alone", "killed at once"]
)
def test_what_a_run_lacks_is_said_in_place_of_a_chart(browser: Browser, pages: dict[str, Path], name: str) -> None:
    with opened(browser, pages[name]) as seen:
        empty = [chart for chart, count in marks(seen.page).items() if not count]
        assert empty
        for chart in empty:
            assert len(seen.page.locator(f"#{chart} .note").inner_text()) > 20
        assert seen.errors == []


def test_a_subtask_filters_charts_tables_sentences_and_answers(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["usual"]) as seen:
        page, before = seen.page, marks(seen.page)
        histogram = page.locator("#chart-histogram").inner_html()
        page.select_option("#subtask", label="qa")
        after = marks(page)
        assert after["chart-speedup"] == 2 * 3  # all subtasks and this one
        assert after["chart-samples"] < before["chart-samples"] / 7
        assert page.locator("#chart-histogram").inner_html() != histogram
        assert set(tasks_shown(page)) == {"qa"}
        assert page.locator("#browser-count").inner_text().startswith("20 of 160")
        assert page.locator("details tbody:not([hidden]) .part").first.text_content() == "qa"
        assert set(page.locator(".said:not([hidden]) h4").all_inner_texts()) == {"All subtasks", "qa"}
        assert seen.errors == []


def test_a_method_filters_charts_tables_and_answers(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["usual"]) as seen:
        page, before = seen.page, marks(seen.page)
        page.get_by_label("BiLD", exact=True).uncheck()
        after = marks(page)
        smaller = CHARTS - {"chart-cost"}  # the cost of a pass belongs to models and not to methods
        assert {chart for chart in CHARTS if after[chart] < before[chart]} == smaller
        assert "BiLD" not in page.locator("#browser").inner_text()
        assert page.locator('#results tr[data-cell="3"]').is_hidden()
        assert page.locator("#filter-state").inner_text() == "All subtasks, 3 of 4 cells shown."
        for label in ("AS", "AS*", "SPS"):
            page.get_by_label(label, exact=True).uncheck()
        assert marks(page)["chart-samples"] == 0
        assert seen.errors == []


def test_answers_are_searched_paged_and_compared(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["usual"]) as seen:
        page = seen.page
        page.get_by_role("button", name="Next").click()
        assert page.locator("#page-place").inner_text() == "page 2 of 20"
        page.get_by_label("differs only").check()
        some = int(page.locator("#browser-count").inner_text().split()[0])
        assert 0 < some < 160
        assert page.locator(".written .parts-here").count() >= page.locator("#browser .task").count()
        page.fill("#find", "QA-0")
        assert set(tasks_shown(page)) == {"qa"}
        page.get_by_label("show guesses that fell").check()
        assert page.locator(".written .fell del").count() > 0
        for kind in ("accepted", "corrected", "bonus", "plain"):
            assert page.locator(f".written .t.{kind}").count() > 0, kind


def test_hostile_texts_are_text(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["hostile"]) as seen:
        page, shown = seen.page, ""
        page.get_by_label("show guesses that fell").check()
        while True:
            shown += "".join(page.locator("#browser .prompt, #browser .written").all_inner_texts())
            if page.locator("#next").is_disabled():
                break
            page.locator("#next").click()
        for text in (HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[3], HOSTILE[4], HOSTILE[5], HOSTILE[9], HOSTILE[11]):
            assert text in shown
        for text in ("right to left U+202E evil", "nul ␀ escape ␛ bell ␇", "lone U+D800 surrogate"):
            assert text in shown
        assert page.locator("#subtask option").all_inner_texts()[1] == "<script>alert(4)</script>"
        assert page.evaluate("document.scripts.length") == 4
        assert page.evaluate("document.images.length + document.querySelectorAll('[onerror]').length") == 0
        assert page.evaluate("typeof window.ran") == "undefined"
        assert seen.errors == []
        assert seen.requests == [pages["hostile"].as_uri()]


def test_the_policy_stops_a_script_and_a_request_that_came_in_all_the_same(
    browser: Browser, pages: dict[str, Path]
) -> None:
    with opened(browser, pages["usual"]) as seen:
        seen.page.evaluate(
            """() => { const script = document.createElement("script"); script.textContent = "window.ran = 1";
            document.body.append(script); }"""
        )
        assert seen.page.evaluate("typeof window.ran") == "undefined"
        assert seen.page.evaluate("fetch('http://localhost:9/').catch(() => 'refused')") == "refused"
        assert all("Content Security Policy" in error for error in seen.errors)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1600])
def test_the_page_fits_its_window(
    browser: Browser, pages: dict[str, Path], tmp_path: Path, width: int, scheme: str
) -> None:
    for name in ("usual", "long names", "hostile"):
        with opened(browser, pages[name], width=width, scheme=scheme) as seen:
            assert overflow(seen.page) == 0, name
            assert seen.errors == []
            ground = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ground == ("rgb(20, 23, 27)" if scheme == "dark" else "rgb(255, 255, 255)")
            picture = tmp_path / f"{name}-{width}-{scheme}.png"
            seen.page.screenshot(path=picture, full_page=name == "usual")
            assert picture.stat().st_size > 30_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, pages: dict[str, Path], scheme: str) -> None:
    for name, width in (("hostile", 1600), ("no baseline", 380)):
        with opened(browser, pages[name], width=width, scheme=scheme) as seen:
            assert grave_faults(seen.page) == [], name


def grave_faults(page: Page) -> list[str]:
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{item['id']}: {item['nodes'][0]['html'][:200]}" for item in found if item["impact"] in ("serious", "critical")
    ]


def test_axe_would_find_a_fault(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["killed at once"]) as seen:
        seen.page.evaluate("document.querySelector('h1').style.color = '#ddd'")
        assert any(fault.startswith("color-contrast") for fault in grave_faults(seen.page))


def test_the_scheme_can_be_changed_by_hand(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["killed at once"], scheme="dark") as seen:
        seen.page.get_by_role("button", name="light colour scheme").click()
        assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_on_paper_everything_is_dark_on_white_and_controls_are_gone(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["usual"], scheme="dark") as seen:
        page = seen.page
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("#filters").is_hidden()
        assert page.locator("#results table").is_visible()
        assert page.locator("details.fold:not([open])").count() == 0
        assert page.locator("#browser .task:visible").count() == 5
        assert len(page.pdf()) > 100_000


def test_the_keyboard_reaches_the_results_and_works_the_filters(browser: Browser, pages: dict[str, Path]) -> None:
    with opened(browser, pages["usual"]) as seen:
        page = seen.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#results"
        page.get_by_label("SPS", exact=True).focus()
        page.keyboard.press("Space")
        assert page.locator("#filter-state").inner_text().endswith("3 of 4 cells shown.")
        page.get_by_role("radio", name="unconditional", exact=True).focus()
        page.keyboard.press("ArrowRight")
        assert page.get_by_role("radio", name="conditional on the position before").is_checked()
        assert "before was accepted" in page.locator("#position-text").inner_text()
