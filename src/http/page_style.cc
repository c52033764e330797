#include "http/page.h"

namespace kvevict::http {

const char* page_style() {
  return R"css(:root { color-scheme: light; --text: #1b1b1b; --quiet: #5c5c5c; --page: #ffffff; --card: #f5f6f8; --line: #d5d8dd;
  --mine: #dceaf5; --link: #00588c; --bad: #b34700; --sink: #0072b2; --middle: #d98200; --recent: #009e73; --gone: #c9ccd1; }
:root[data-theme="dark"] { color-scheme: dark; --text: #e6e6e6; --quiet: #a5a9ae; --page: #15171a; --card: #1e2125;
  --line: #3a3f45; --mine: #123a55; --link: #7cc4f5; --bad: #ff9a57; --sink: #56b4e9; --middle: #e69f00; --recent: #2fc298; --gone: #4a4f55; }
* { box-sizing: border-box; }
body { margin: 0; height: 100vh; height: 100dvh; display: flex; flex-direction: column; color: var(--text); background: var(--page);
  font: 16px/1.5 system-ui, sans-serif; }
header { display: flex; gap: .5rem; align-items: center; padding: .4rem .8rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.1rem; margin: 0; flex: 1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
h2 { font-size: 1rem; margin: 0 0 .5rem; }
#rooms { flex: 1; min-height: 0; display: flex; position: relative; }
#side { width: 15rem; padding: .6rem; border-right: 1px solid var(--line); overflow-y: auto; background: var(--page); }
#side ul { list-style: none; margin: .6rem 0 0; padding: 0; }
#side li { display: flex; }
#side li button { border-color: transparent; background: none; }
#side li .open { flex: 1; min-width: 0; text-align: left; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#side li.now .open { background: var(--card); border-color: var(--line); }
#new { width: 100%; }
#menu { display: none; }
#centre { flex: 1; min-width: 0; display: flex; flex-direction: column; }
main { flex: 1; overflow-y: auto; }
#talk, form, #state { width: 100%; max-width: 50rem; margin: 0 auto; padding: 0 1rem; }
.said { margin: .6rem 0; padding: .5rem .75rem; border-radius: .5rem; background: var(--card); }
.said .text { white-space: pre-wrap; overflow-wrap: anywhere; }
.said textarea { width: 100%; }
.thoughts { color: var(--quiet); font-size: .9rem; white-space: pre-wrap; overflow-wrap: anywhere; margin-bottom: .3rem; }
.thoughts summary { cursor: pointer; }
.user { background: var(--mine); margin-left: 3rem; }
.error { color: var(--bad); }
.doing { display: flex; gap: .4rem; margin-top: .3rem; }
.doing button { font-size: .8rem; padding: .1rem .45rem; }
#state { color: var(--quiet); font-size: .85rem; min-height: 1.6rem; padding-top: .3rem; }
form { display: flex; gap: .5rem; padding-top: .4rem; padding-bottom: .6rem; }
form textarea { flex: 1; resize: vertical; }
textarea, input, button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; padding: .35rem .6rem; }
button { cursor: pointer; }
button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 2px solid var(--link); }
#cache { width: 24rem; padding: .8rem; border-left: 1px solid var(--line); overflow-y: auto; background: var(--page); font-size: .9rem; }
#strip { display: flex; height: 1.4rem; border: 1px solid var(--line); border-radius: .3rem; overflow: hidden; }
#strip div { min-width: 1px; }
#strip .sink { background: var(--sink); } #strip .middle { background: var(--middle); }
#strip .recent { background: var(--recent); } #strip .gone { background: var(--gone); }
#legend { list-style: none; margin: .4rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem .8rem; color: var(--quiet); font-size: .8rem; }
#legend li::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: .15em; background: var(--gone); }
#legend .sink::before { background: var(--sink); } #legend .middle::before { background: var(--middle); }
#legend .recent::before { background: var(--recent); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0 .8rem; margin: .5rem 0; }
dt { color: var(--quiet); } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
#held { white-space: pre-wrap; overflow-wrap: anywhere; border-top: 1px solid var(--line); padding-top: .5rem; }
#held .gone { color: var(--quiet); opacity: .65; text-decoration: line-through; text-decoration-color: var(--gone); }
#held .sink { border-left: 3px solid var(--sink); padding-left: .3rem; }
#held .recent { border-left: 3px solid var(--recent); padding-left: .3rem; }
#held > span { display: block; }
@media (max-width: 60rem) { #cache { position: absolute; inset: 0 0 0 auto; width: min(24rem, 100%); z-index: 2; } }
@media (max-width: 45rem) {
  #menu { display: inline-block; }
  #side { position: absolute; inset: 0 auto 0 0; z-index: 3; width: min(16rem, 85%); transform: translateX(-101%); visibility: hidden; }
  #side.open { transform: none; visibility: visible; box-shadow: 0 0 2rem #0006; }
  .user { margin-left: 1.5rem; }
}
)css";
}

}  // namespace kvevict::http
