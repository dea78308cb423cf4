#include "server/cli/option_table.h"

#include <cctype>

#include "server/service/parameter_ranges.h"

namespace krait::server {
namespace {

constexpr double kMaxCount = 1e9;

const std::vector<OptionSpec>& table() {
  using enum OptionType;
  static const std::vector<OptionSpec> options = {
      {"model", kText, "", "MODEL",
       "The model: a folder, or a Hub name in the local Hugging Face cache. On the command line it is the argument.",
       kAnyModel},
      {"host", kText, "127.0.0.1", "ADDRESS", "The address to listen on; 0.0.0.0 for all.", kServeOnly},
      {"port", kInteger, "8000", "PORT", "The HTTP port; 0 lets the system choose one.", kServeOnly, 0, 65535},
      {"grpc-port", kInteger, "0", "PORT", "The gRPC port; 0 turns gRPC off.", kServeOnly, 0, 65535},
      {"served-model-name", kText, "", "NAME", "The name that requests use; by default the model as it was given.",
       kServeOnly},
      {"api-key", kText, "", "KEY", "Requests must carry this key as a bearer token; empty asks for none.", kServeOnly},
      {"api-key-rate", kInteger, "0", "N",
       "Requests that the key may send in a minute; one more is answered 429. 0: any number.", kServeOnly, 0, 1e6},
      {"chat-template", kText, "", "FILE",
       "A Jinja file to use instead of the checkpoint's chat template, or the name of one of its templates.",
       kAnyModel},
      {"tool-call-parser", kText, "auto", "NAME",
       "How the model writes tool calls: auto goes by its chat template, none takes calls for text, else a name that "
       "the start-up error for an unknown one lists.",
       kServeOnly},
      {"reasoning-parser", kText, "auto", "NAME",
       "How the model marks its reasoning: auto goes by its chat template, none leaves it in the content, else a name.",
       kServeOnly},
      {"skip-tokenizer-init", kFlag, "false", "",
       "Load no tokenizer: token ids in and out, for checkpoints without tokenizer files.", kAnyModel},
      {"generation-config",
       kChoice,
       "auto",
       "NAME",
       "Where requests get what they leave open: auto is the checkpoint's generation_config.json, none the API's own "
       "defaults.",
       kAnyModel,
       0,
       0,
       {"auto", "none"}},
      {"max-model-len", kInteger, "", "N",
       "Prompt and answer together, in tokens; by default what the checkpoint states.", kAnyModel, 1, kMaxCount},
      {"device", kDevice, "auto", "DEVICE",
       "Where the model runs: cpu, cuda (the first GPU), cuda:N, or auto: the first GPU if there is one that can be "
       "used, else the processor.",
       kAnyModel},
      {"threads", kInteger, "0", "N", "Threads of the processor that compute; 0 takes every core.", kAnyModel, 0, 4096},
      {"cpu-pinning",
       kChoice,
       "auto",
       "MODE",
       "Give every computing thread a CPU of its own, cores before their second hardware threads, and other threads "
       "the cores that are left: auto does so where the process was given fewer CPUs than the machine has, on always, "
       "off never.",
       kAnyModel,
       0,
       0,
       {"auto", "on", "off"}},
      {"numa", kText, "auto", "POLICY",
       "Computing threads and memory on a machine with several memory nodes: distribute (each thread's weights on its "
       "own node, caches over all), node:N (all on one), off; auto distributes where there are several.",
       kAnyModel},
      {"cpu-isa",
       kChoice,
       "auto",
       "NAME",
       "The processor's instruction set to compute with.",
       kAnyModel,
       0,
       0,
       {"auto", "avx512", "avx2", "portable"}},
      {"compute-dtype",
       kChoice,
       "auto",
       "TYPE",
       "What the rows that enter a matrix product are rounded to; auto is the platform's choice (float32 for `krait "
       "logits`). int8 needs quantised weights.",
       kAnyModel,
       0,
       0,
       {"auto", "float32", "bfloat16", "int8"}},
      {"quantization",
       kChoice,
       "none",
       "FORM",
       "Round the weights at load: int8 (8.1 bits a weight) or int4 (4.5 bits); none keeps the checkpoint's.",
       kAnyModel,
       0,
       0,
       {"none", "int8", "int4"}},
      {"packed-weights-dir", kText, "", "DIR",
       "Keep the weights in this folder as the processor reads them, so that the next start maps one file instead of "
       "packing them; empty: nowhere.",
       kAnyModel},
      {"kv-cache-dtype",
       kChoice,
       "auto",
       "TYPE",
       "The type of keys and values in the cache; auto is float32 for --compute-dtype float32, else bfloat16. int8 "
       "(with a scale for each token and head) takes half of bfloat16's memory and rounds more.",
       kAnyModel,
       0,
       0,
       {"auto", "float32", "bfloat16", "float16", "int8"}},
      {"cache-memory", kCacheMemory, "0.5", "SIZE",
       "Memory for KV pages and recurrent states: 512MiB, 2GiB, or a share of what is free after the weights.",
       kAnyModel},
      {"swap-memory", kBytes, "512MiB", "BYTES",
       "Memory beside --cache-memory for what preempted requests held, where that is cheaper than computing it again.",
       kAnyModel},
      {"cache-dir", kText, "", "DIR",
       "Keep the KV pages and recurrent states of prompts in this folder too, from where they come back after a "
       "restart; empty: nowhere.",
       kServeOnly},
      {"cache-dir-size", kBytes, "16GiB", "SIZE", "The most that --cache-dir may take for a model.", kServeOnly},
      {"block-size", kInteger, "16", "N", "Tokens in a KV page.", kAnyModel, 1, 1024},
      {"enable-prefix-caching", kFlag, "true", "",
       "Reuse the KV pages and recurrent states of prompts that begin alike; --no-enable-prefix-caching turns it off.",
       kAnyModel},
      {"mamba-cache-mode",
       kChoice,
       "auto",
       "MODE",
       "Where recurrent states are kept for reuse: auto (message borders, branches, ends, intervals), all (every "
       "--mamba-block-size tokens), none.",
       kAnyModel,
       0,
       0,
       {"auto", "all", "none"}},
      {"mamba-block-size", kInteger, "512", "N", "Tokens between states with --mamba-cache-mode all.", kAnyModel, 1,
       1048576},
      {"snapshot-interval", kInteger, "2048", "N",
       "Tokens between states inside a long prompt with --mamba-cache-mode auto; 0: none.", kAnyModel, 0, 1048576},
      {"enable-sessions", kFlag, "false", "",
       "Serve /v1/sessions: finished requests can be saved, forked, downloaded and gone on with.", kServeOnly},
      {"session-memory", kBytes, "1GiB", "SIZE",
       "Memory for all sessions together; one that does not fit is answered "
       "507.",
       kServeOnly},
      {"max-num-seqs", kInteger, "64", "N", "Requests that run at once.", kAnyModel, 1, 65536},
      {"max-num-batched-tokens", kInteger, "2048", "N", "Tokens in a step: decodes first, then pieces of prompts.",
       kAnyModel, 1, 1048576},
      {"target-itl-ms", kNumber, "0", "MS",
       "Time between two tokens of a stream while prompts are computed beside it; prompts keep 40 % of the time. 0: "
       "under "
       "three times what it is without prompts.",
       kAnyModel, 0, 60000},
      {"max-queue", kInteger, "1024", "N", "Requests that may wait; one more is answered 429.", kAnyModel, 0, 1048576},
      {"enforce-eager", kFlag, "false", "",
       "On a GPU, start the operations of a decode step one by one instead of as a CUDA graph; answers are the same. "
       "The "
       "processor has no graphs.",
       kAnyModel},
      {"attention-backend", kText, "native", "NAME",
       "Whose kernels compute attention: native, or flashinfer on the CUDA platform where it is built in.", kAnyModel},
      {"mamba-backend", kText, "native", "NAME",
       "Whose kernels compute the selective state update of decode: native, or flashinfer as above.", kAnyModel},
      {"mamba-attention-backend", kPairs, "", "TYPE=NAME",
       "The backend of a mamba type, as mamba2=NAME; may be given several times.", kAnyModel},
      {"mamba-cache-dtype",
       kChoice,
       "auto",
       "TYPE",
       "The type of convolution states.",
       kAnyModel,
       0,
       0,
       {"auto", "float32", "float16", "bfloat16"}},
      {"mamba-ssm-cache-dtype",
       kChoice,
       "auto",
       "TYPE",
       "The type of recurrent states; auto is what the checkpoint states, else float32.",
       kAnyModel,
       0,
       0,
       {"auto", "float32", "float16", "bfloat16"}},
      {"mamba-snapshot-dtype",
       kChoice,
       "auto",
       "TYPE",
       "The type that cached snapshots keep of float32 states; auto keeps them whole. With 16 bits more of them fit, "
       "but "
       "an answer after a hit is no longer exactly the one without.",
       kAnyModel,
       0,
       0,
       {"auto", "float16", "bfloat16"}},
      {"enable-mamba-cache-stochastic-rounding", kFlag, "false", "",
       "Round the float16 states of Mamba-1 and Mamba-2 layers (--mamba-ssm-cache-dtype float16) stochastically.",
       kAnyModel},
      {"mamba-cache-philox-rounds", kInteger, "0", "N",
       "Rounds of the generator for stochastic rounding; 0 is the default of 10.", kAnyModel, 0, 100},
      {"log-level",
       kChoice,
       "info",
       "LEVEL",
       "How much to log.",
       kAnyModel,
       0,
       0,
       {"trace", "debug", "info", "warn", "error", "off"}},
      {"vllm-metrics", kFlag, "false", "",
       "Expose the metrics that vLLM has too under vLLM's names as well (vllm:...), for dashboards made for it.",
       kServeOnly},
      {"drain-timeout", kNumber, "30", "SECONDS", "How long running requests may go on after SIGTERM.", kServeOnly, 0,
       86400},
      {"max-body-size", kBytes, "32MiB", "SIZE", "The largest request body; a larger one is answered 413.", kServeOnly},
  };
  return options;
}

std::string upper_case(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::span<const OptionSpec> option_table() { return table(); }

const OptionSpec* find_option(std::string_view name) {
  for (const OptionSpec& spec : table()) {
    if (spec.name == name) return &spec;
  }
  return nullptr;
}

std::string environment_name(std::string_view option) { return "KRAIT_" + upper_case(option); }

std::string describe_valid(const OptionSpec& spec) {
  switch (spec.type) {
    case OptionType::kText:
      return "text";
    case OptionType::kFlag:
      return "true or false";
    case OptionType::kBytes:
      return "a size such as 1048576, 64MiB or 2GiB";
    case OptionType::kCacheMemory:
      return "a size such as 512MiB or 2GiB, or a share greater than 0 and at most 1 such as 0.5";
    case OptionType::kDevice:
      return "auto, cpu, cuda or cuda:N";
    case OptionType::kPairs:
      return "TYPE=NAME";
    case OptionType::kChoice:
      break;
    case OptionType::kInteger:
    case OptionType::kNumber:
      return (spec.type == OptionType::kInteger ? "an integer from " : "a number from ") + format_number(spec.minimum) +
             " to " + format_number(spec.maximum);
  }
  std::string words = "one of ";
  for (std::size_t i = 0; i < spec.choices.size(); ++i) words += (i == 0 ? "" : ", ") + std::string(spec.choices[i]);
  return words;
}

std::string configuration_markdown() {
  std::string out =
      "# Configuration\n\n"
      "Printed by `krait docs-configuration`; do not edit by hand.\n\n"
      "Every option can be given as a flag (`--max-num-seqs 8`), as an environment variable (`KRAIT_MAX_NUM_SEQS=8`) "
      "and as a\n"
      "key of the file that `--config FILE` names (`max-num-seqs: 8`, YAML). The command line wins over the "
      "environment, the\n"
      "environment over the file, and the file over the default. An unknown key, a value of another type and a value "
      "that is\n"
      "not valid end start-up with a message.\n\n"
      "| option | value | default | environment | commands | meaning |\n|---|---|---|---|---|---|\n";
  for (const OptionSpec& spec : table()) {
    const std::string fallback = spec.default_text.empty() ? "" : "`" + std::string(spec.default_text) + "`";
    out += "| `" + std::string(spec.name) + "` | " + describe_valid(spec) + " | " + fallback + " | `" +
           environment_name(spec.name) + "` | " + (spec.scope == kServeOnly ? "serve" : "all") + " | " +
           std::string(spec.help) + " |\n";
  }
  return out;
}

}  // namespace krait::server
