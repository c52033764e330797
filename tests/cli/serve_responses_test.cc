// kvevict serve: /v1/responses, through the real server over loopback.
#include <gtest/gtest.h>

#include "support/served.h"

namespace kvevict::test {
namespace {

Served::Reply respond(const Served& server, const Json& body) {
  return server.post("/v1/responses", body.dump());
}

std::vector<Json> events_of(const Served& server, Json body) {
  body["stream"] = true;
  const auto reply = server.client().Post("/v1/responses", body.dump(), "application/json");
  std::vector<Json> events;
  if (!reply) return events;
  const std::string& text = reply->body;
  for (std::size_t at = text.find("\ndata: "); at != std::string::npos; at = text.find("\ndata: ", at + 1))
    events.push_back(Json::parse(text.substr(at + 7, text.find("\n\n", at) - at - 7)));
  return events;
}

TEST(ServeResponses, AnswersAndGoesOnFromAResponse) {
  const Served server;
  const auto first =
      respond(server, {{"input", "Name a river."}, {"instructions", "Be brief."}, {"max_output_tokens", 8}});
  ASSERT_EQ(first.status, 200) << first.json;
  EXPECT_EQ(first.json["object"], "response");
  EXPECT_EQ(first.json["output"][0]["type"], "message");
  EXPECT_EQ(first.json["output"][0]["content"][0]["type"], "output_text");
  EXPECT_FALSE(first.json["output"][0]["content"][0]["text"].get<std::string>().empty());
  EXPECT_EQ(first.json["usage"]["output_tokens"], 8);
  EXPECT_EQ(first.json["status"], "incomplete");
  EXPECT_EQ(first.json["incomplete_details"]["reason"], "max_output_tokens");
  const auto second = respond(server, {{"input", "Another one."},
                                       {"instructions", "Be brief."},
                                       {"previous_response_id", first.json["id"]},
                                       {"max_output_tokens", 8}});
  ASSERT_EQ(second.status, 200) << second.json;
  EXPECT_GT(second.json["usage"]["input_tokens_details"]["cached_tokens"],
            first.json["usage"]["input_tokens"]);
  EXPECT_EQ(second.json["previous_response_id"], first.json["id"]);
  EXPECT_EQ(second.json["kvevict"]["conversation"], first.json["kvevict"]["conversation"]);
}

TEST(ServeResponses, WhatIsNotStoredIsNotKnown) {
  const Served server;
  const auto first = respond(server, {{"input", "hello"}, {"store", false}, {"max_output_tokens", 2}});
  ASSERT_EQ(first.status, 200) << first.json;
  const auto second = respond(server, {{"input", "more"}, {"previous_response_id", first.json["id"]}});
  EXPECT_EQ(second.status, 400);
  EXPECT_EQ(second.json["error"]["param"], "previous_response_id") << second.json;
}

TEST(ServeResponses, AStreamTellsOfEachItem) {
  const Served server;
  const std::vector<Json> events = events_of(server, {{"input", "Count to ten."}, {"max_output_tokens", 8}});
  ASSERT_GT(events.size(), 8U);
  std::string text;
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["sequence_number"], i);
    if (events[i]["type"] == "response.output_text.delta") text += events[i]["delta"].get<std::string>();
  }
  EXPECT_EQ(events[0]["type"], "response.created");
  EXPECT_EQ(events[1]["type"], "response.in_progress");
  EXPECT_EQ(events[2]["type"], "response.output_item.added");
  EXPECT_EQ(events[3]["type"], "response.content_part.added");
  EXPECT_EQ(events[4]["type"], "response.output_text.delta");
  const Json& last = events.back();
  EXPECT_EQ(last["type"], "response.incomplete");
  EXPECT_EQ(last["response"]["id"], events[0]["response"]["id"]);
  EXPECT_EQ(last["response"]["output"][0]["content"][0]["text"], text);
  EXPECT_EQ(last["response"]["output"][0]["id"], events[4]["item_id"]);
  EXPECT_EQ(last["response"]["usage"]["output_tokens"], 8);
}

TEST(ServeResponses, ACallIsAnItemAndItsResultGoesOn) {
  const Served server;
  const Json tools = {{{"type", "function"},
                       {"name", "weather"},
                       {"description", "The weather of a city."},
                       {"parameters",
                        {{"type", "object"},
                         {"properties", {{"city", {{"type", "string"}, {"enum", {"Paris", "Rome"}}}}}},
                         {"required", {"city"}}}}}};
  const Json body = {{"input", "What is the weather?"}, {"tools", tools}, {"tool_choice", "required"}};
  const auto first = respond(server, body);
  ASSERT_EQ(first.status, 200) << first.json;
  const Json& call = first.json["output"].back();
  ASSERT_EQ(call["type"], "function_call") << first.json;
  EXPECT_TRUE(Json::parse(call["arguments"].get<std::string>()).contains("city"));
  const Json result = {{{"type", "function_call_output"}, {"call_id", call["call_id"]}, {"output", "sunny"}}};
  const auto second = respond(server, {{"input", result},
                                       {"tools", tools},
                                       {"previous_response_id", first.json["id"]},
                                       {"max_output_tokens", 8}});
  ASSERT_EQ(second.status, 200) << second.json;
  EXPECT_GT(second.json["usage"]["input_tokens_details"]["cached_tokens"], 0);
  const std::vector<Json> events = events_of(server, body);
  std::string arguments;
  for (const Json& event : events)
    if (event["type"] == "response.function_call_arguments.delta")
      arguments += event["delta"].get<std::string>();
  EXPECT_EQ(arguments, events.back()["response"]["output"].back()["arguments"]);
}

}  // namespace
}  // namespace kvevict::test
