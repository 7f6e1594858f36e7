#include "kinetok/text/post_processor.h"

#include <string>
#include <vector>

#include "kinetok/base/error.h"
#include "kinetok/text/json_fields.h"

namespace kinetok {
namespace {

void RequireKnown(const Json& id, const TokenizerParts& parts, const std::string& where) {
  const bool known = id.is_number_integer() && id >= 0 && id <= kMaxTokenId &&
                     (parts.model->vocabulary().Has(id.get<int32_t>()) || parts.added.Find(id.get<int32_t>()));
  if (!known) Fail("{} holds {}, expected an id of the vocabulary", where, Shorten(id));
}

// {"single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}], "special_tokens": {"<s>": {"ids": [1]}}}
void ReadTemplate(const JsonObject& processor, TokenizerParts& parts) {
  AllowFields(processor, {"type", "single", "pair", "special_tokens"});
  const JsonObject tokens = processor.Object("special_tokens");
  int texts = 0;
  for (const Json& entry : processor.Array("single")) {
    const JsonObject item(entry, processor.source() + ": single");
    AllowFields(item, {"SpecialToken", "Sequence"});
    if (item.Has("Sequence")) {
      RequireValue(item.Object("Sequence"), "id", "A");
      ++texts;
      continue;
    }
    const JsonObject token = tokens.Object(item.Object("SpecialToken").String("id"));
    for (const Json& id : token.Array("ids")) {
      RequireKnown(id, parts, token.source() + ": \"ids\"");
      (texts == 0 ? parts.before : parts.after).push_back(id.get<int32_t>());
    }
  }
  if (texts != 1) Fail("{}: field \"single\" has the sequence A {} times, expected once", processor.source(), texts);
}

// BertProcessing and RobertaProcessing: {"cls": ["[CLS]", 101], "sep": ["[SEP]", 102]} around a text.
void ReadEnds(const JsonObject& processor, TokenizerParts& parts) {
  for (const auto& [key, ids] : {std::pair("cls", &parts.before), {"sep", &parts.after}}) {
    const Json& pair = processor.Array(key);
    if (pair.size() != 2 || !pair[0].is_string()) {
      Fail("{}: field \"{}\" is {}, expected a piece and its id", processor.source(), key, Shorten(pair));
    }
    RequireKnown(pair[1], parts, fmt::format("{}: \"{}\"", processor.source(), key));
    ids->push_back(pair[1].get<int32_t>());
  }
}

void Read(const JsonObject& processor, TokenizerParts& parts, bool nested) {
  const std::string type = processor.String("type");
  const bool first = parts.before.empty() && parts.after.empty();
  if (type == "ByteLevel") return;  // trims offsets
  if (type == "TemplateProcessing" && first) {
    ReadTemplate(processor, parts);
  } else if (type == "BertProcessing" && first) {
    AllowFields(processor, {"type", "sep", "cls"});
    ReadEnds(processor, parts);
  } else if (type == "RobertaProcessing" && first) {
    AllowFields(processor, {"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
    ReadEnds(processor, parts);
  } else if (type == "Sequence" && !nested) {
    AllowFields(processor, {"type", "processors"});
    for (const Json& entry : processor.Array("processors")) {
      Read(JsonObject(entry, processor.source() + ": processors"), parts, true);
    }
  } else {
    RefuseType(processor, "ByteLevel, and one TemplateProcessing, BertProcessing or RobertaProcessing, are");
  }
}

OrderedJson DescribeTemplate(const TokenizerParts& parts, const std::vector<std::string>& before,
                             const std::vector<std::string>& after) {
  const auto sequence = [](const char* name, int type) {
    return OrderedJson{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  OrderedJson single = OrderedJson::array(), tokens = OrderedJson::object();
  const auto add = [&](const std::vector<int32_t>& ids, const std::vector<std::string>& pieces) {
    for (size_t i = 0; i < ids.size(); ++i) {
      single.push_back({{"SpecialToken", {{"id", pieces[i]}, {"type_id", 0}}}});
      tokens[pieces[i]] = {
          {"id", pieces[i]}, {"ids", OrderedJson::array({ids[i]})}, {"tokens", OrderedJson::array({pieces[i]})}};
    }
  };
  add(parts.before, before);
  single.push_back(sequence("A", 0));
  add(parts.after, after);
  OrderedJson pair = single;
  pair.push_back(sequence("B", 1));
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", tokens}};
}

}  // namespace

void ReadPostProcessor(const JsonObject& processor, TokenizerParts& parts) {
  Read(processor, parts, false);
}

OrderedJson DescribePostProcessor(const TokenizerParts& parts) {
  if (parts.before.empty() && parts.after.empty()) return nullptr;
  const auto names = [&](const std::vector<int32_t>& ids) {
    std::vector<std::string> pieces;
    for (const int32_t id : ids) {
      const AddedToken* token = parts.added.Find(id);
      pieces.push_back(token != nullptr ? token->content : parts.model->vocabulary().Piece(id));
    }
    return pieces;
  };
  return DescribeTemplate(parts, names(parts.before), names(parts.after));
}

}  // namespace kinetok
