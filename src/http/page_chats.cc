// The page's chats: the list of them, which the browser keeps, and what is drawn of the one that is open.
#include "http/page.h"

namespace kvevict::http {

const char* page_chats() {
  return R"js(const at = id => document.getElementById(id);
const kStored = "kvevict.chats", kOpen = "kvevict.open", kTheme = "kvevict.theme", kKey = "kvevict.key";
const kRestart = "The server has no conversation of this name any more: the next message takes the history in again.";
let chats = [];      // the newest first: {name, title, messages: [{role, content}]}
let chat = null;     // the one that is open
let running = null;  // what stops the answer under way
let follows = true;  // whether the view stays at its end: until its reader scrolls up

function stored(place, name) { try { return place.getItem(name); } catch { return null; } }
function store(place, name, value) { try { place.setItem(name, value); } catch { tell("This browser keeps no chats."); } }

function element(kind, className, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, does, label) {
  const made = element("button", "", text);
  made.type = "button";
  made.onclick = does;
  if (label) made.setAttribute("aria-label", label);
  return made;
}

function headers() {
  const all = {"Content-Type": "application/json"};
  if (at("key").value) all.Authorization = "Bearer " + at("key").value;
  return all;
}

async function refusal(response) {
  if (response.status === 401) at("key").hidden = false;
  try { return (await response.json()).error.message; } catch { return "HTTP " + response.status; }
}

function tell(text) { at("state").textContent = text; }

function readChats() {
  try { chats = JSON.parse(stored(localStorage, kStored)) || []; } catch { chats = []; }
}

// What other tabs did to other chats stays.
function keepChats() {
  const mine = chat;
  readChats();
  const others = chats.filter(one => one.name !== mine.name);
  chats = mine.messages.length ? [mine, ...others] : others;
  store(localStorage, kStored, JSON.stringify(chats));
  drawChats();
}

function newName() {
  return "page-" + Array.from(crypto.getRandomValues(new Uint8Array(8)), b => b.toString(16).padStart(2, "0")).join("");
}

function openChat(one) {
  chat = one || {name: newName(), title: "New chat", messages: []};
  store(sessionStorage, kOpen, chat.name);
  tell("");
  at("side").classList.remove("open");
  at("menu").setAttribute("aria-expanded", "false");
  drawChats();
  draw();
  goToEnd();
  showCache();
  at("message").focus();
}

async function removeChat(one) {
  if (!confirm(`Delete the chat "${one.title}"?`)) return;
  readChats();
  chats = chats.filter(other => other.name !== one.name);
  store(localStorage, kStored, JSON.stringify(chats));
  fetch("conversations/" + one.name, {method: "DELETE", headers: headers()}).catch(() => {});  // it may be gone already
  if (one.name === chat.name) openChat(null); else drawChats();
}

function drawChats() {
  at("chats").replaceChildren(...chats.map(one => {
    const item = element("li", one.name === chat.name ? "now" : "");
    const open = button(one.title, () => openChat(one));
    open.className = "open";
    open.disabled = !!running && one.name !== chat.name;
    if (one.name === chat.name) open.setAttribute("aria-current", "true");
    const remove = button("✕", () => removeChat(one), "Delete this chat");
    remove.disabled = !!running && one.name === chat.name;
    item.append(open, remove);
    return item;
  }));
  at("new").disabled = !!running;
}

function follow() { if (follows) at("view").scrollTop = at("view").scrollHeight; }

function goToEnd() {
  follows = true;
  follow();
}

function draw() {
  at("talk").replaceChildren(...chat.messages.map(box));
  at("send").textContent = running ? "Stop" : "Send";
  follow();
}

// What a model thought before it answered: closed, once there is an answer.
function thoughtsOf(made) {
  let thoughts = made.querySelector(".thoughts");
  if (!thoughts) {
    thoughts = element("details", "thoughts");
    thoughts.append(element("summary", "", "Thoughts"), element("div"));
    made.prepend(thoughts);
  }
  return thoughts;
}

function box(message, i) {
  const made = element("article", "said " + message.role);
  if (message.reasoning_content) thoughtsOf(made).lastChild.textContent = message.reasoning_content;
  made.append(element("div", "text", message.content));
  const doing = element("div", "doing");
  if (message.role === "user") doing.append(button("Edit", () => edit(made, i)));
  if (message.role === "assistant") doing.append(button("Copy", () => navigator.clipboard.writeText(message.content)));
  if (message.role === "assistant" && i === chat.messages.length - 1) {
    const again = button("Answer again", () => { chat.messages.pop(); answer(); });
    again.id = "again";
    doing.append(again);
  }
  if (!running) made.append(doing);
  return made;
}

// A changed message: what came behind it goes, and the server goes back to where it stood.
function edit(made, i) {
  const text = element("textarea");
  text.value = chat.messages[i].content;
  text.rows = Math.min(12, text.value.split("\n").length + 1);
  text.setAttribute("aria-label", "Changed message");
  const doing = element("div", "doing");
  const send = button("Send changed message", () => {
    if (running || !text.value.trim()) return;
    chat.messages.splice(i, chat.messages.length, {role: "user", content: text.value.trim()});
    answer();
  });
  doing.append(send, button("Cancel", draw));
  text.onkeydown = event => { if (event.key === "Escape") { event.stopPropagation(); draw(); } };
  made.replaceChildren(text, doing);
  text.focus();
}

function showError(text) {
  const made = element("article", "said error");
  made.setAttribute("role", "alert");
  made.append(element("div", "text", text));
  at("talk").append(made);
  follow();
}
)js";
}

}  // namespace kvevict::http
