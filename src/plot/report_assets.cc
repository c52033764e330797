#include "plot/report_assets.h"

namespace kvevict::plot {

const char* report_style() {
  return R"css(
:root { color-scheme: light dark; --text: #1b1b1b; --quiet: #5c5c5c; --page: #ffffff; --card: #f5f6f8; --line: #d5d8dd;
  --kept: #dceaf5; --some: #e9f1e6; --link: #00588c; --good: #00795a; --bad: #b34700; }
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) { --text: #e6e6e6; --quiet: #a5a9ae; --page: #15171a;
  --card: #1e2125; --line: #3a3f45; --kept: #123a55; --some: #24402f; --link: #7cc4f5; --good: #4cc9a0; --bad: #ff9a57; } }
:root[data-theme=dark] { color-scheme: dark; --text: #e6e6e6; --quiet: #a5a9ae; --page: #15171a; --card: #1e2125;
  --line: #3a3f45; --kept: #123a55; --some: #24402f; --link: #7cc4f5; --good: #4cc9a0; --bad: #ff9a57; }
:root[data-theme=light] { color-scheme: light; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: .2em 0; } h2 { font-size: 1.2rem; margin: 2em 0 .5em; }
p.quiet, .quiet { color: var(--quiet); } header { display: flex; gap: 1rem; justify-content: space-between; align-items: start; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: 4px; cursor: pointer; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .92em; }
th, td { text-align: left; padding: .3em .6em; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; } th button { border: 0; padding: 0; font-weight: 600; text-align: inherit; } th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.chip { display: inline-block; width: .75em; height: .75em; margin-right: .45em; border-radius: 2px; }
figure { margin: 1rem 0; } figure svg { width: 100%; height: auto; max-width: 800px; display: block; }
figure svg text { fill: currentColor; } figure svg [fill=black] { fill: currentColor; }
figure svg [stroke=black], figure svg [stroke="rgb( 51,  51,  51)"] { stroke: currentColor; }
figure svg g[color=black] { color: inherit; }
.legend span.item { margin-right: 1.2em; white-space: nowrap; display: inline-block; }
details.example { border: 1px solid var(--line); border-radius: 6px; margin: .4em 0; background: var(--card); }
details.example > summary { padding: .4em .7em; cursor: pointer; } details.example > div { padding: 0 .8em .8em; }
summary .score { margin-left: 1em; white-space: nowrap; }
.tabs button { margin: 0 .4em .4em 0; padding: .15em .6em; } .tabs button[aria-pressed=true] { border-color: var(--link); border-width: 2px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2em 1em; margin: .5em 0; } dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
pre.prompt { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 34rem; overflow-y: auto; background: var(--page);
  border: 1px solid var(--line); padding: .7em; font: 13px/1.5 ui-monospace, monospace; }
.kept { background: var(--kept); } .some { background: var(--some); } .gone { opacity: .45; }
@media print { .toggle, .tabs { display: none; } body { max-width: none; } }
)css";
}

const char* report_script() {
  return R"js(
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const ascending = head.getAttribute('aria-sort') !== 'ascending';
    for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', ascending ? 'ascending' : 'descending');
    const key = row => { const cell = row.cells[column]; return 'value' in cell.dataset ? Number(cell.dataset.value) : cell.textContent; };
    const order = (a, b) => typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
    const rows = [...body.rows].sort((a, b) => ascending ? order(key(a), key(b)) : order(key(b), key(a)));
    body.append(...rows);
  }));
}

document.getElementById('theme').addEventListener('click', () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
});

const classOf = ['gone', 'some', 'kept'];
function promptOf(answer) {
  const box = make('pre', undefined, 'prompt');
  const text = data.prompts[answer.prompt];
  if (text === undefined || !answer.segments) { box.textContent = 'The prompt is not in this page.'; return box; }
  let from = 0;
  for (const [end, fate] of answer.segments) {
    box.append(make('span', text.slice(from, end), classOf[fate]));
    from = end;
  }
  return box;
}

function fillAnswer(place, example, answer) {
  const facts = make('dl');
  const add = (name, value) => facts.append(make('dt', name), make('dd', value));
  add('answer', answer.prediction === '' ? '(empty)' : answer.prediction);
  add('right would be', example.answers.join('  |  '));
  add('score', answer.score.toFixed(3));
  add('prompt', `${answer.kept} of ${answer.kept + answer.evicted} tokens kept` + (answer.truncated ? '; the prompt was cut in the middle before' : ''));
  place.replaceChildren(facts);
  if (answer.segments) place.append(make('p', 'Highlighted: kept in the cache. Dimmed: evicted before the answer.' +
    (answer.exact ? '' : ' Where parts begin is an estimate: the tokens of this model are not known here.'), 'quiet'));
  place.append(promptOf(answer));
}

function fillExample(element, example) {
  const tabs = make('div', undefined, 'tabs');
  const place = make('div');
  example.runs.forEach((answer, run) => {
    if (!answer) return;
    const tab = make('button');
    const chip = make('span', undefined, 'chip');
    chip.style.background = data.runs[run].colour;
    tab.type = 'button';
    tab.append(chip, data.runs[run].name);
    tab.addEventListener('click', () => {
      for (const other of tabs.children) other.setAttribute('aria-pressed', String(other === tab));
      fillAnswer(place, example, answer);
    });
    tabs.append(tab);
  });
  element.append(tabs, place);
  if (tabs.firstChild) tabs.firstChild.click();
}

for (const details of document.querySelectorAll('details.example')) {
  details.addEventListener('toggle', () => {
    const inside = details.querySelector('div');
    if (details.open && !inside.hasChildNodes()) fillExample(inside, data.examples[Number(details.dataset.example)]);
  });
}
const wanted = /^#example-(\d+)$/.exec(location.hash);
const opened = wanted && document.querySelector(`details[data-example="${wanted[1]}"]`);
if (opened) { opened.open = true; opened.scrollIntoView(); }
document.documentElement.dataset.ready = 'yes';
)js";
}

}  // namespace kvevict::plot
