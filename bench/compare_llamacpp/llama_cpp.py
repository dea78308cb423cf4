"""llama.cpp: what the PATH has, else built from the sources inside llama-cpp-python's source archive."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
TOOLS = ("llama-bench", "llama-batched-bench", "llama-quantize", "llama-server")
# What the converter imports; the big one is torch.
CONVERTER_PACKAGES = ("torch==2.15.0", "transformers==5.23.0", "numpy==2.4.6", "sentencepiece==0.2.3", "protobuf==7.36.2",
                      "safetensors")

# pip asks a source archive's build back-end for its name before it keeps the archive; this answers instead, so that the
# archive is fetched, checked against its hash, and not run.
STAND_IN = f'''
from pathlib import Path

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    name = "llama_cpp_python-{VERSION}.dist-info"
    (Path(directory) / name).mkdir()
    (Path(directory) / name / "METADATA").write_text("Metadata-Version: 2.1\\nName: llama-cpp-python\\nVersion: {VERSION}\\n")
    return name
'''

BUILD_FLAGS = ("-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_TESTS=OFF",
               "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_TOOLS=ON", "-DLLAMA_BUILD_SERVER=ON",
               "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_OPENSSL=OFF")
ISA_FLAGS = {
    "native": ("-DGGML_NATIVE=ON",),
    "avx2": ("-DGGML_NATIVE=OFF", "-DGGML_AVX=ON", "-DGGML_AVX2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON",
             "-DGGML_BMI2=ON", "-DGGML_AVX512=OFF"),
}


def say(text: str) -> None:
    print(f"compare_llamacpp: {text}", file=sys.stderr, flush=True)


def run(*command: object, **options: object) -> None:
    subprocess.run(list(map(str, command)), check=True, stdout=sys.stderr, **options)


class LlamaCpp:
    """Everything that it makes lies under `cache` and is found again."""

    def __init__(self, cache: Path, isa: str, converter_python: str | None) -> None:
        self.cache = cache
        self.isa = isa
        self.converter_python = converter_python
        self.sources = cache / f"llama_cpp_python-{VERSION}" / "vendor" / "llama.cpp"

    def tool(self, name: str) -> Path:
        found = shutil.which(name) if self.isa == "native" else None
        if found:
            return Path(found)
        built = self.cache / f"build-{self.isa}" / "bin" / name
        if not built.exists():
            self._build(built.parent.parent, name)
        return built

    def _build(self, folder: Path, tool: str) -> None:
        self._fetch_sources()
        say(f"building {tool} ({self.isa}) in {folder}; this takes a while")
        if not (folder / "build.ninja").exists():
            run("cmake", "-S", self.sources, "-B", folder, "-G", "Ninja", *BUILD_FLAGS, *ISA_FLAGS[self.isa])
        run("nice", "ninja", "-C", folder, tool)

    def _fetch_sources(self) -> None:
        if self.sources.exists():
            return
        say(f"fetching llama-cpp-python {VERSION}")
        stand_in = self.cache / "stand-in" / "scikit_build_core"
        stand_in.mkdir(parents=True, exist_ok=True)
        (stand_in / "build.py").write_text(STAND_IN)
        wanted = self.cache / "requirements.txt"
        wanted.write_text(f"llama-cpp-python=={VERSION} --hash=sha256:{SHA256}\n")
        pip = self._venv("fetch") / "bin" / "pip"
        run("env", f"PYTHONPATH={stand_in.parent}", pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:",
            "--no-build-isolation", "--require-hashes", "-r", wanted, "-d", self.cache)
        with tarfile.open(self.cache / f"llama_cpp_python-{VERSION}.tar.gz") as archive:
            archive.extractall(self.cache, filter="data")

    def _venv(self, name: str) -> Path:
        folder = self.cache / f"venv-{name}"
        if not (folder / "bin" / "pip").exists():
            run(sys.executable, "-m", "venv", folder)
        return folder

    def _python(self) -> str:
        """One that has the converter's packages."""
        if self.converter_python:
            return self.converter_python
        folder = self._venv("convert")
        done = folder / "installed"
        if not done.exists():
            say("installing what the converter needs, several GB; --converter-python PATH uses what is there")
            run(folder / "bin" / "pip", "install", "--quiet", *CONVERTER_PACKAGES)
            done.touch()
        return str(folder / "bin" / "python")

    def gguf(self, checkpoint: Path, kind: str) -> Path:
        """The checkpoint as a file of type BF16, Q8_0, Q4_0 or Q4_K_M."""
        out = checkpoint / f"{kind}.gguf"
        if out.exists():
            return out
        part = out.with_suffix(".part")
        if kind == "BF16":
            self._fetch_sources()
            convert = Path(__file__).parent / "convert.py"
            run(self._python(), convert, self.sources, checkpoint, part, stderr=subprocess.DEVNULL)
        else:
            run(self.tool("llama-quantize"), self.gguf(checkpoint, "BF16"), part, kind, stderr=subprocess.DEVNULL)
        part.rename(out)
        return out
