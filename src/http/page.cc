#include "http/page.h"

namespace kvevict::http {
namespace {

constexpr const char* kHead = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>kvevict</title>
)html";

constexpr const char* kBody = R"html(</head>
<body>
<header>
  <button id="menu" type="button" aria-label="Chats" aria-expanded="false" aria-controls="side">☰</button>
  <h1>kvevict <span id="model"></span></h1>
  <input id="key" type="password" placeholder="API key" aria-label="API key" autocomplete="off" hidden>
  <button id="theme" type="button" aria-label="Dark or light">◐</button>
  <button id="panel" type="button" aria-expanded="false" aria-controls="cache">Cache</button>
</header>
<div id="rooms">
  <nav id="side" aria-label="Chats">
    <button id="new" type="button" title="Alt+N">New chat</button>
    <ul id="chats"></ul>
  </nav>
  <section id="centre">
    <main id="view"><div id="talk" aria-live="polite"></div></main>
    <div id="state" role="status"></div>
    <form id="form">
      <textarea id="message" rows="2" placeholder="Message (Enter sends, Shift+Enter is a new line)" aria-label="Message"></textarea>
      <button id="send">Send</button>
    </form>
  </section>
  <aside id="cache" aria-label="What the cache holds" hidden>
    <h2>What the cache holds</h2>
    <div id="strip"></div>
    <ul id="legend"><li class="sink">first tokens (sink)</li><li class="middle">kept between</li><li class="recent">newest (recent window)</li><li class="gone">evicted</li></ul>
    <dl id="figures"></dl>
    <div id="held"></div>
  </aside>
</div>
)html";

}  // namespace

std::string chat_page() {
  return std::string(kHead) + "<style>\n" + page_style() + "</style>\n" + kBody +
         "<script>\n\"use strict\";\n" + page_chats() + page_cache() + page_answers() +
         "</script>\n</body>\n</html>\n";
}

}  // namespace kvevict::http
