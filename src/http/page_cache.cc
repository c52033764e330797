// The page's panel: which tokens of the open chat the cache holds, as a strip and as text.
#include "http/page.h"

namespace kvevict::http {

const char* page_cache() {
  return R"js(let figures = {};  // of the newest answer

// The ranges of a conversation of `n` tokens, each with what it is: [{begin, end, kind}].
function parts(kept, n, strategy) {
  const [, sink, recent] = strategy.split(":").map(value => parseInt(value, 10) || 0);
  const all = [];
  let from = 0;
  const add = (begin, end, kind) => { if (begin < end) all.push({begin, end, kind}); };
  for (const [begin, end] of kept) {
    add(from, begin, "gone");
    const first = Math.min(end, Math.max(begin, sink)), last = Math.max(first, Math.min(end, Math.max(begin, n - recent)));
    add(begin, first, "sink");
    add(first, last, "middle");
    add(last, end, "recent");
    from = end;
  }
  add(from, n, "gone");
  return all;
}

const kNames = {sink: "first tokens", middle: "kept", recent: "newest tokens", gone: "evicted"};

function drawStrip(all) {
  at("strip").replaceChildren(...all.map(part => {
    const made = element("div", part.kind);
    made.style.flexGrow = part.end - part.begin;
    made.title = `tokens ${part.begin} to ${part.end - 1}: ${kNames[part.kind]}`;
    return made;
  }));
}

// The server puts what is evicted between "[-" and "-]".
function drawHeld(text, nEvicted) {
  if (!nEvicted) return at("held").replaceChildren(element("span", "", text));
  const pieces = text.split(/(\[-[\s\S]*?-\])/).filter(piece => piece);
  at("held").replaceChildren(...pieces.map((piece, i) => {
    const isGone = piece.startsWith("[-") && piece.endsWith("-]");
    if (isGone) return element("span", "gone", piece.slice(2, -2));
    return element("span", i === 0 ? "sink" : i === pieces.length - 1 ? "recent" : "middle", piece);
  }));
}

function drawFigures(view) {
  const rows = [];
  const add = (name, value) => { if (value !== undefined && value !== "") rows.push(element("dt", "", name), element("dd", "", value)); };
  add("strategy", view.strategy);
  add("tokens kept", view.kept);
  add("tokens evicted", view.evicted);
  add("cells", view.cells);
  if (view.bytes !== undefined) add("K and V", (view.bytes / 1048576).toFixed(1) + " MiB");
  add("history, tokens", figures.prompt);
  add("seen before", figures.cached);
  if (figures.first !== undefined) add("first text", figures.first.toFixed(2) + " s");
  if (figures.rate) add("speed", figures.rate.toFixed(1) + " tokens/s");
  at("figures").replaceChildren(...rows);
}

function nothingHeld(text) {
  at("strip").replaceChildren();
  at("figures").replaceChildren();
  at("held").replaceChildren(element("span", "", text));
}

async function showCache() {
  const name = chat.name;
  if (at("cache").hidden || running) return;
  if (!chat.messages.length) return nothingHeld("Nothing yet: the first message begins the conversation.");
  let response;
  try { response = await fetch("conversations/" + name, {headers: headers()}); } catch (error) { return nothingHeld(error.message); }
  if (name !== chat.name) return;
  if (response.status === 404) return nothingHeld(kRestart);
  if (!response.ok) return nothingHeld(await refusal(response));
  const view = await response.json();
  if (view.busy) return void setTimeout(showCache, 300);  // an answer that was stopped is ending
  drawFigures(view);
  if (!view.live) return at("strip").replaceChildren(), at("held").replaceChildren(element("span", "", "It rests in the store, and comes back with the next message."));
  drawStrip(parts(view.kept_ranges, view.kept + view.evicted, view.strategy));
  drawHeld(view.text, view.evicted);
}
)js";
}

}  // namespace kvevict::http
