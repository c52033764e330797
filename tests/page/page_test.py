#!/usr/bin/env python3
"""Clicks through the page of `kvevict serve` in a headless Chromium, with the real model: send, stop, edit, answer again, follow, reload,
a second tab, the panel, a phone's width. Any error of the console fails it.

usage: page_test.py PROGRAM MODEL.gguf [FOLDER]     FOLDER gets pictures
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from playwright.sync_api import Page, expect, sync_playwright

WAIT = 120_000  # ms, at most
WORDS = ["--max_new_tokens", "48", "--strategy", "sink_recent:16:48", "--chunk", "128", "--parallel", "2"]


def start(program: str, model: str) -> tuple[subprocess.Popen[str], str]:
    server = subprocess.Popen([program, "serve", "--model", model, "--port", "0", *WORDS], stderr=subprocess.PIPE, text=True)
    assert server.stderr
    for line in server.stderr:
        if found := re.search(r"listening on (http://\S+)", line):
            return server, found.group(1)
    raise SystemExit("the server did not start")


def send(page: Page, text: str) -> None:
    n_before = page.locator(".said.assistant").count()
    page.fill("#message", text)
    page.keyboard.press("Enter")
    expect(page.locator(".said.assistant")).to_have_count(n_before + 1, timeout=WAIT)
    page.wait_for_selector("#again", timeout=WAIT)


def texts(page: Page, kind: str) -> list[str]:
    return page.locator(f".said.{kind} .text").all_inner_texts()


def talk(page: Page) -> None:
    send(page, "Name a river.")
    assert texts(page, "assistant")[0].strip(), "no answer"
    send(page, "Name another one.")
    assert len(texts(page, "user")) == 2
    again = texts(page, "assistant")[1]
    page.click("#again")
    page.wait_for_selector("#again", timeout=WAIT)
    assert texts(page, "assistant")[1] == again, "a greedy answer that is made again is another one"


def stop_by_key(page: Page) -> None:
    page.fill("#message", "Tell me a very long story about a mountain.")
    page.click("#send")
    expect(page.locator("#send")).to_have_text("Stop")
    expect(page.locator(".said.assistant .text").last).to_have_text(re.compile(".{5}", re.DOTALL), timeout=WAIT)
    page.keyboard.press("Escape")
    expect(page.locator("#send")).to_have_text("Send", timeout=WAIT)
    assert len(texts(page, "assistant")) == 3, "what came of a stopped answer stays"


def see_the_cache(page: Page) -> None:
    if page.locator("#cache").is_hidden():
        page.click("#panel")
    expect(page.locator("#strip .gone")).not_to_have_count(0, timeout=WAIT)
    expect(page.locator("#held .gone")).not_to_have_count(0)
    assert page.locator("#strip .sink").count() == 1 and page.locator("#strip .recent").count() == 1
    assert "sink_recent" in page.locator("#figures").inner_text()


def see_thoughts(page: Page) -> None:
    """Those of a model that thinks, which the default one does not: the server's part is a stream as it sends one."""
    deltas = [{"reasoning_content": "A river "}, {"reasoning_content": "of France."}, {"content": "The Loire."}]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    stream = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=stream, content_type="text/event-stream"))
    send(page, "And one of France?")
    assert texts(page, "assistant")[-1] == "The Loire."
    thoughts = page.locator(".said.assistant").last.locator(".thoughts")
    expect(thoughts.locator("div")).to_be_hidden()
    thoughts.locator("summary").click()
    expect(thoughts.locator("div")).to_have_text("A river of France.")
    page.unroute("**/v1/chat/completions")


def is_at_end(page: Page) -> None:
    """The buttons of the last answer are there in full."""
    below = "document.getElementById('again').getBoundingClientRect().bottom - document.getElementById('view').getBoundingClientRect().bottom"
    page.wait_for_function(f"{below} <= 0", timeout=WAIT)


def follow_the_answer(page: Page) -> None:
    """In a low window: its end stays in sight, unless the reader scrolls up."""
    page.set_viewport_size({"width": 1400, "height": 400})
    send(page, "Tell me another long story about a mountain.")
    is_at_end(page)
    page.set_viewport_size({"width": 1400, "height": 330})
    is_at_end(page)
    n_before = page.locator(".said.assistant").count()
    page.fill("#message", "And a third one.")
    page.keyboard.press("Enter")
    expect(page.locator(".said.assistant")).to_have_count(n_before + 1, timeout=WAIT)
    page.evaluate("document.getElementById('view').scrollTop = 0")
    page.wait_for_selector("#again", timeout=WAIT)
    assert page.evaluate("document.getElementById('view').scrollTop") == 0, "a reader who has scrolled up was dragged down"
    page.set_viewport_size({"width": 1400, "height": 850})


def change_a_message(page: Page) -> None:
    page.locator(".said.user").nth(1).get_by_role("button", name="Edit").click()
    page.get_by_label("Changed message").fill("Name a mountain.")
    page.get_by_role("button", name="Send changed message").click()
    page.wait_for_selector("#again", timeout=WAIT)
    assert texts(page, "user") == ["Name a river.", "Name a mountain."], texts(page, "user")


def reload(page: Page) -> None:
    before = texts(page, "user") + texts(page, "assistant")
    page.reload()
    page.wait_for_selector("#again", timeout=WAIT)
    assert texts(page, "user") + texts(page, "assistant") == before
    expect(page.locator("#model")).not_to_be_empty()


def second_tab(page: Page, url: str) -> None:
    other = page.context.new_page()
    other.goto(url)
    expect(other.locator("#chats li")).to_have_count(1)
    send(other, "What is two and two?")
    expect(page.locator("#chats li")).to_have_count(2)  # the first tab hears of it
    assert texts(page, "user") == ["Name a river.", "Name a mountain."]
    other.once("dialog", lambda dialog: dialog.accept())
    other.locator("#chats li").first.get_by_label("Delete this chat").click()
    expect(page.locator("#chats li")).to_have_count(1)
    other.close()


def on_a_phone(page: Page, pictures: pathlib.Path | None) -> None:
    page.set_viewport_size({"width": 390, "height": 760})
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, f"the page is {width} wide on a phone of 390"
    if not page.locator("#cache").is_hidden():
        page.click("#panel")
    page.click("#menu")
    expect(page.locator("#new")).to_be_visible()
    page.click("#new")
    expect(page.locator(".said")).to_have_count(0)
    page.click("#menu")
    page.locator("#chats .open").first.click()
    expect(page.locator(".said.user")).to_have_count(2)
    if pictures:
        page.screenshot(path=pictures / "phone.png")


def click_through(page: Page, url: str, pictures: pathlib.Path | None) -> None:
    page.goto(url)
    talk(page)
    stop_by_key(page)
    see_the_cache(page)
    see_thoughts(page)
    if pictures:
        page.screenshot(path=pictures / "light.png")
        page.click("#theme")
        page.screenshot(path=pictures / "dark.png")
        page.click("#theme")
    follow_the_answer(page)
    change_a_message(page)
    reload(page)
    second_tab(page, url)
    on_a_phone(page, pictures)


def main() -> None:
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    pictures = pathlib.Path(sys.argv[3]) if len(sys.argv) == 4 else None
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    browser_program = shutil.which("chromium") or shutil.which("google-chrome")
    server, url = start(sys.argv[1], sys.argv[2])
    said: list[str] = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
            context = browser.new_context(viewport={"width": 1400, "height": 850}, color_scheme="light")
            context.on("weberror", lambda error: said.append(str(error.error)))
            page = context.new_page()
            page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
            click_through(page, url, pictures)
            browser.close()
    finally:
        server.terminate()
    if server.wait() != 0 or said:
        raise SystemExit(f"the server ended with {server.returncode}; the console said {said}")
    print("page: sent, stopped, edited, answered again, reloaded, in two tabs, on a phone: no error in the console")


if __name__ == "__main__":
    main()
