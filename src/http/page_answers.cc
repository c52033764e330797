// The page's answers: a request, its stream, and what keys and buttons do.
#include "http/page.h"

namespace kvevict::http {

const char* page_answers() {
  return R"js(// Reads server-sent events; `onChunk` gets each one's object.
async function readStream(response, onChunk) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const events = (rest + part.value).split("\n\n");
    rest = events.pop();
    for (const event of events) if (event.startsWith("data: {")) onChunk(JSON.parse(event.slice(6)));
  }
}

function noteChunk(chunk) {
  if (chunk.kvevict) {
    const held = chunk.kvevict;
    tell(`${held.strategy}: ${held.kept} tokens kept, ${held.evicted} evicted, ${(held.bytes / 1048576).toFixed(1)} MiB of K and V`);
  }
  if (!chunk.usage) return;
  figures.prompt = chunk.usage.prompt_tokens;
  figures.cached = chunk.usage.prompt_tokens_details.cached_tokens;
  figures.made = chunk.usage.completion_tokens;
}

async function answer() {
  const asked = chat;
  running = new AbortController();
  figures = {};
  tell("Waiting for the first text …");
  draw();
  drawChats();
  const made = box({role: "assistant", content: ""}, -1);
  at("talk").append(made);
  goToEnd();
  const shown = made.querySelector(".text");
  const start = performance.now();
  let text = "", thoughts = "", failed = "", last = start;
  try {
    const response = await fetch("v1/chat/completions", {method: "POST", headers: headers(), signal: running.signal,
        body: JSON.stringify({messages: asked.messages, stream: true, stream_options: {include_usage: true},
                              kvevict: {conversation: asked.name}})});
    if (!response.ok) throw new Error(await refusal(response));
    await readStream(response, chunk => {
      if (chunk.error) throw new Error(chunk.error.message);
      const {content, reasoning_content: thought} = chunk.choices.length ? chunk.choices[0].delta : {};
      if (content || thought) {
        last = performance.now();
        if (figures.first === undefined) {
          figures.first = (last - start) / 1000;
          tell("");
        }
        if (thought) thoughtsOf(made).lastChild.textContent = thoughts += thought;
        if (content) shown.textContent = text += content;
        if (thoughts) thoughtsOf(made).open = !text;
        follow();
      }
      noteChunk(chunk);
    });
  } catch (error) {
    tell(error.name === "AbortError" ? "Stopped." : "");
    if (error.name !== "AbortError") failed = error.message;
  }
  const seconds = (last - start) / 1000 - (figures.first || 0);
  if (seconds > 0 && figures.made > 1) figures.rate = (figures.made - 1) / seconds;
  running = null;
  end(asked, text, thoughts, failed);
}

// An answer that was stopped stays as far as it came; a message that got none goes back to where it was written.
// Thoughts go back with it: what a template leaves out of a history is the server's to know.
function end(asked, text, thoughts, failed) {
  if (text) asked.messages.push({role: "assistant", content: text, ...(thoughts && {reasoning_content: thoughts})});
  else at("message").value = asked.messages.pop().content + at("message").value;
  if (asked.messages.length) asked.title = asked.messages[0].content.slice(0, 60);
  keepChats();
  draw();
  if (failed) showError(failed);
  showCache();
}

function send() {
  const text = at("message").value.trim();
  if (!text || running) return;
  at("message").value = "";
  chat.messages.push({role: "user", content: text});
  answer();
}

async function greet() {
  try {
    const response = await fetch("v1/models", {headers: headers()});
    if (!response.ok) return showError(await refusal(response));
    at("model").textContent = "· " + (await response.json()).data[0].id;
    store(sessionStorage, kKey, at("key").value);
  } catch (error) { showError("The server does not answer: " + error.message); }
}

const kNearEnd = 24;  // pixels that count as the end of the view

function paint(theme) { document.documentElement.dataset.theme = theme; }

function toggle(id, by) {
  const isShown = id === "cache" ? !(at(id).hidden = !at(id).hidden) : at(id).classList.toggle("open");
  at(by).setAttribute("aria-expanded", String(isShown));
}

at("form").onsubmit = event => {
  event.preventDefault();
  if (running) running.abort(); else send();
};
at("message").onkeydown = event => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
};
document.onkeydown = event => {
  if (event.key === "Escape" && running) running.abort();
  if (event.altKey && event.key.toLowerCase() === "n" && !running) { event.preventDefault(); openChat(null); }
};
at("new").onclick = () => openChat(null);
at("menu").onclick = () => toggle("side", "menu");
at("panel").onclick = () => { toggle("cache", "panel"); showCache(); };
at("theme").onclick = () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  paint(theme);
  store(localStorage, kTheme, theme);
};
at("key").onchange = greet;
at("view").onscroll = () => {
  const view = at("view");
  follows = view.scrollHeight - view.scrollTop - view.clientHeight < kNearEnd;
};
// A longer line below, or a smaller window.
new ResizeObserver(follow).observe(at("view"));
// Another tab wrote.
window.onstorage = event => {
  if (event.key !== kStored || running) return;
  readChats();
  const same = chats.find(one => one.name === chat.name);
  if (same) { chat = same; draw(); showCache(); }
  drawChats();
};

paint(stored(localStorage, kTheme) || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
at("key").value = stored(sessionStorage, kKey) || "";
if (at("key").value) at("key").hidden = false;
readChats();
openChat(chats.find(one => one.name === stored(sessionStorage, kOpen)));
if (matchMedia("(min-width: 80rem)").matches) at("panel").click();
greet();
)js";
}

}  // namespace kvevict::http
