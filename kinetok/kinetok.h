// kinetok/kinetok.h: everything a program needs to run and train a model.
//
//   kinetok::Context context;                                            // the threads and the instruction set
//   auto model = kinetok::Model::Load(context, "models/writer");         // weights and tokenizer, immutable
//   kinetok::Generate(context, model, "ROMEO:", {.sampler = {.temperature = 0.8, .seed = 7}},
//                     [](const kinetok::Token& token) {
//                       std::cout << token.text << std::flush;
//                       return kinetok::Flow::kContinue;
//                     });
//
// The same request gives the same bits on any number of threads, in any batch, on any instruction set.
//
// Whatever goes wrong with a file, a field or an argument is a kinetok::Error: a sentence that names it, its value and
// what was expected. The library never prints and never ends the process.
//
// A Model and a Tokenizer may be shared between threads. A Context, an Engine, a KvCache and a Workspace serve one
// caller at a time.
#pragma once

// Error, and Context {threads, isa}.
#include "kinetok/base/error.h"
#include "kinetok/kernels/context.h"

// Model::Load, Model::FromParameters, Model::Forward; ModelConfig and Preset("gpt2-124m"); KvCache.
#include "kinetok/model/model.h"
#include "kinetok/model/presets.h"

// Tokenizer::Load, Encode, Decode, StreamDecoder; BytesBpeTrainer and CharTrainer make new ones.
#include "kinetok/text/tokenizer.h"
#include "kinetok/text/tokenizer_trainer.h"

// Generate and GenerateBatch: prompts in, text or ids out, by sampling, beams or best-of. Engine: the loop under them,
// one step at a time. Distribute: what a token is drawn from. ScoreContinuations and ComputePerplexity: how likely
// given texts are. FillMask and EmbedTexts: what encoders are for.
#include "kinetok/decode/encoder.h"
#include "kinetok/decode/engine.h"
#include "kinetok/decode/generate.h"
#include "kinetok/decode/logits.h"
#include "kinetok/decode/score.h"

// Policy: a camera's image and an instruction in, a motion out. ReadImage and DecodeImage: JPEG and PNG.
// ImageProcessor: pixels as OpenVLA's vision towers read them.
#include "kinetok/io/image.h"
#include "kinetok/vla/demonstration_examples.h"
#include "kinetok/vla/image_processor.h"
#include "kinetok/vla/policy.h"

// Server: a policy over HTTP, for OpenVLA's clients.
#include "kinetok/serve/server.h"

// Trainer: checkpoints, resuming, evaluation. Its data: TextExamples (of TokeniseFiles and SplitTokens),
// DemonstrationExamples (robots' HDF5 files), CompletionExamples (JSON lines), mixed in stated shares.
// ReadTask and RunTask: multiple-choice and next-word tasks.
#include "kinetok/train/completion_examples.h"
#include "kinetok/train/dataset.h"
#include "kinetok/train/run_directory.h"
#include "kinetok/train/task.h"
#include "kinetok/train/text_examples.h"
#include "kinetok/train/train_config.h"
#include "kinetok/train/trainer.h"
