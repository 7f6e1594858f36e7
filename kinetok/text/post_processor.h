// tokenizer.json's "post_processor": the ids around a text.
#pragma once

#include "kinetok/base/json.h"
#include "kinetok/text/tokenizer_parts.h"

namespace kinetok {

// Sets `before` and `after` of parts whose model and added tokens are there. Throws Error naming the type or the field
// that is not supported.
void ReadPostProcessor(const JsonObject& processor, TokenizerParts& parts);

// A TemplateProcessing with these ids; null when there are none.
OrderedJson DescribePostProcessor(const TokenizerParts& parts);

}  // namespace kinetok
