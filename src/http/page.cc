#include "http/page.h"

namespace kvevict::http {

const char* chat_page() {
  return R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kvevict</title>
<style>
:root { color-scheme: light dark; --text: #1b1b1b; --quiet: #5c5c5c; --page: #ffffff; --card: #f5f6f8; --line: #d5d8dd;
  --mine: #dceaf5; --link: #00588c; --bad: #b34700; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e6e6; --quiet: #a5a9ae; --page: #15171a; --card: #1e2125;
  --line: #3a3f45; --mine: #123a55; --link: #7cc4f5; --bad: #ff9a57; } }
* { box-sizing: border-box; }
body { margin: 0; height: 100vh; display: flex; flex-direction: column; color: var(--text); background: var(--page);
  font: 16px/1.5 system-ui, sans-serif; }
header, form, #state { width: 100%; max-width: 50rem; margin: 0 auto; padding: .5rem 1rem; }
header { display: flex; gap: .5rem; align-items: center; flex-wrap: wrap; }
h1 { font-size: 1.1rem; margin: 0; flex: 1; }
main { flex: 1; overflow-y: auto; }
#talk { max-width: 50rem; margin: 0 auto; padding: 0 1rem; }
.said { white-space: pre-wrap; overflow-wrap: anywhere; margin: .5rem 0; padding: .5rem .75rem; border-radius: .5rem;
  background: var(--card); }
.user { background: var(--mine); margin-left: 3rem; }
.error { color: var(--bad); }
#state { color: var(--quiet); font-size: .85rem; min-height: 2.2rem; }
form { display: flex; gap: .5rem; }
textarea { flex: 1; resize: vertical; }
textarea, input, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; padding: .35rem .6rem; }
button:disabled { opacity: .5; }
:focus-visible { outline: 2px solid var(--link); }
</style>
</head>
<body>
<header>
  <h1>kvevict <span id="model"></span></h1>
  <input id="key" type="password" placeholder="API key" aria-label="API key" autocomplete="off" hidden>
  <button id="kept" type="button" disabled>What is kept</button>
  <button id="again" type="button" disabled>Answer again</button>
  <button id="new" type="button">New</button>
</header>
<main><div id="talk" aria-live="polite"></div></main>
<div id="state"></div>
<form id="form">
  <textarea id="message" rows="2" placeholder="Message (Enter sends, Shift+Enter is a new line)" aria-label="Message"></textarea>
  <button id="send">Send</button>
</form>
<script>
"use strict";
const at = id => document.getElementById(id);
let messages = [], boxes = [], name = "", running = null;  // a box for each message

function headers() {
  const all = {"Content-Type": "application/json"};
  if (at("key").value) all.Authorization = "Bearer " + at("key").value;
  return all;
}

function begin() {
  messages = [];
  boxes = [];
  name = "page-" + Array.from(crypto.getRandomValues(new Uint8Array(8)), b => b.toString(16).padStart(2, "0")).join("");
  at("talk").replaceChildren();
  at("state").textContent = "";
  buttons();
}

function buttons() {
  at("send").textContent = running ? "Stop" : "Send";
  at("new").disabled = !!running;
  at("again").disabled = at("kept").disabled = !!running || messages.length < 2;
}

function show(kind, text) {
  const box = document.createElement("div");
  box.className = "said " + kind;
  box.textContent = text;
  at("talk").append(box);
  box.scrollIntoView({block: "end"});
  return box;
}

async function refusal(response) {
  if (response.status === 401) at("key").hidden = false;
  try { return (await response.json()).error.message; } catch { return "HTTP " + response.status; }
}

function tell(chunk) {
  if (chunk.kvevict) at("state").textContent =
      `${chunk.kvevict.strategy}: ${chunk.kvevict.kept} tokens kept, ${chunk.kvevict.evicted} evicted, ` +
      `${(chunk.kvevict.bytes / 1048576).toFixed(1)} MiB of K and V`;
  if (chunk.usage) at("state").textContent +=
      `; ${chunk.usage.prompt_tokens} tokens of history, ${chunk.usage.prompt_tokens_details.cached_tokens} of them seen before`;
}

async function answer() {
  running = new AbortController();
  buttons();
  const box = show("assistant", "");
  let text = "", failed = "";
  try {
    const response = await fetch("v1/chat/completions", {method: "POST", headers: headers(), signal: running.signal,
        body: JSON.stringify({messages, stream: true, stream_options: {include_usage: true}, kvevict: {conversation: name}})});
    if (!response.ok) throw new Error(await refusal(response));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const events = (rest + part.value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        if (!event.startsWith("data: {")) continue;
        const chunk = JSON.parse(event.slice(6));
        if (chunk.error) throw new Error(chunk.error.message);
        if (chunk.choices.length && chunk.choices[0].delta.content) text += chunk.choices[0].delta.content;
        tell(chunk);
      }
      box.textContent = text;
      box.scrollIntoView({block: "end"});
    }
  } catch (error) {
    if (error.name !== "AbortError") failed = error.message;
  }
  running = null;
  if (text) {
    messages.push({role: "assistant", content: text});
    boxes.push(box);
  } else {
    box.remove();
    boxes.pop().remove();
    at("message").value = messages.pop().content + at("message").value;
  }
  if (failed) show("error", failed);
  buttons();
}

function send() {
  const text = at("message").value.trim();
  if (!text) return;
  at("message").value = "";
  messages.push({role: "user", content: text});
  boxes.push(show("user", text));
  answer();
}

at("form").onsubmit = event => {
  event.preventDefault();
  if (running) running.abort(); else send();
};
at("message").onkeydown = event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!running) send();
};
at("new").onclick = begin;
at("again").onclick = () => {
  messages.pop();
  boxes.pop().remove();
  answer();
};
at("kept").onclick = async () => {
  const response = await fetch("conversations/" + name, {headers: headers()});
  if (response.ok) show("kept", (await response.json()).text); else show("error", await refusal(response));
};
at("key").onchange = greet;

async function greet() {
  const response = await fetch("v1/models", {headers: headers()});
  if (response.ok) at("model").textContent = "· " + (await response.json()).data[0].id;
  else show("error", await refusal(response));
}
begin();
greet();
</script>
</body>
</html>
)html";
}

}  // namespace kvevict::http
