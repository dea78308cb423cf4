"""Runs llama.cpp's own converter on a checkpoint without a tokenizer: `convert.py LLAMA_CPP FOLDER OUT.gguf`, with the Python
that has the converter's packages. The vocabulary is made of names: benchmarks go by token ids."""

import json
import sys
from pathlib import Path


def main() -> None:
    llama_cpp, folder, out = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    sys.path[0] = str(llama_cpp)
    sys.path.insert(1, str(llama_cpp / "gguf-py"))
    config = json.loads((folder / "config.json").read_text())
    sys.argv = ["convert_hf_to_gguf.py", str(folder), "--outfile", out, "--outtype", "bf16"]
    if config["model_type"].startswith("qwen3_5"):
        sys.argv.append("--no-mtp")  # the published checkpoints have a layer for drafts, which is not measured

    import convert_hf_to_gguf
    import gguf
    from conversion.base import TextModel

    vocab_size = config.get("text_config", config)["vocab_size"]

    def set_vocab(self: TextModel) -> None:
        writer = self.gguf_writer
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list([f"<{index}>" for index in range(vocab_size)])
        writer.add_token_types([gguf.TokenType.NORMAL] * vocab_size)
        writer.add_token_merges(["< 0"])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_add_bos_token(False)

    def subclasses(kind: type) -> list[type]:
        return [kind] + [each for child in kind.__subclasses__() for each in subclasses(child)]

    original = convert_hf_to_gguf.get_model_class

    def get_model_class(*arguments: object, **options: object) -> type:
        # Families are imported when they are asked for, and some have a vocabulary of their own.
        found = original(*arguments, **options)
        for kind in subclasses(TextModel):
            kind.set_vocab = set_vocab
        return found

    convert_hf_to_gguf.get_model_class = get_model_class
    convert_hf_to_gguf.main()


main()
