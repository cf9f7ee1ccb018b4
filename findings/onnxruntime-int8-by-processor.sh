#!/usr/bin/env bash
# ONNX Runtime's integer products: which type of weights is fast, and which is right, depends on the processor's instructions.
#
# Version:    onnxruntime 1.30.0, x64.
# Documented: that U8S8 may saturate on AVX2 and AVX512 (quantization.md). Not, that weights of U8U8 make no use of VNNI.
# Effect:     with VNNI, products with signed weights (MatMulInteger of uint8 by int8) are several times as fast as with unsigned ones, and exact. Without
#             it, they saturate at 16 bits, silently, and unsigned ones are exact. MatMulNBits with accuracy_level 4 is the slowest of the three at 32 rows.
#
# Whether there is VNNI, ONNX Runtime asks the processor (CPUID). Linux can make that instruction fault on Intel processors
# (arch_prctl ARCH_SET_CPUID), so that a library that is loaded first answers in its place and hides what it likes: one machine shows all.
#
# Needs python3 with venv, gcc, and Linux on a processor with VNNI and CPUID faulting (`cpuid_fault` in /proc/cpuinfo). Not part of the
# tests. Fails if ONNX Runtime does otherwise. Output of 2026-11-30, milliseconds of CPU time for 32 rows by 3072 x 3072 (Xeon with AMX):
#
# > VNNI: signed 1.11 exact, unsigned 6.13 exact, MatMulNBits 6.30
# > AVX512 alone: signed 3.61 saturates, unsigned 5.11 exact, MatMulNBits 10.36
# > AVX2: signed 4.95 saturates, unsigned 6.50 exact, MatMulNBits 13.70
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv venv
venv/bin/pip install --quiet --no-input onnxruntime==1.30.0 onnx==1.23.2 numpy

cat >hide.c <<'END'
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_SET_CPUID = 0x1012 };
static int hides_avx512;

static void answer(int signal, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const unsigned char *code = (const unsigned char *)registers[REG_RIP];
  if (code[0] != 0x0f || code[1] != 0xa2) abort(); /* not CPUID: a fault of the program */
  uint32_t leaf = registers[REG_RAX], subleaf = registers[REG_RCX], a, b, c, d;
  syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
  __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(subleaf));
  syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
  if (leaf == 7 && subleaf == 0) {
    c &= ~(1u << 11);                             /* AVX512_VNNI */
    d &= ~(1u << 22 | 1u << 24 | 1u << 25);       /* AMX */
    if (hides_avx512) b &= ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 28 | 1u << 30 | 1u << 31);
    if (hides_avx512) c &= ~(1u << 1 | 1u << 6 | 1u << 12 | 1u << 14);
  }
  if (leaf == 7 && subleaf == 1) {
    a &= ~(1u << 4 | 1u << 5);                    /* AVX_VNNI, AVX512_BF16 */
    d &= ~(1u << 4 | 1u << 5 | 1u << 10);         /* AVX_VNNI_INT8 and its like */
  }
  registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
  hides_avx512 = strcmp(getenv("HIDE"), "avx512") == 0;
  struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) perror("CPUID cannot be made to fault"), exit(3);
}
END
gcc -O1 -shared -fPIC -o hide.so hide.c

cat >products.py <<'END'
import sys
import time
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ROWS, SIZE = 32, 3072
random = np.random.default_rng(1)
options = ort.SessionOptions()
options.intra_op_num_threads = 1


def session(op, domain, x_type, weights, names, **attributes):
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], domain=domain, **attributes)],
        "product",
        [helper.make_tensor_value_info("x", x_type, ["rows", SIZE])],
        [helper.make_tensor_value_info("y", TensorProto.INT32 if op == "MatMulInteger" else TensorProto.FLOAT, ["rows", SIZE])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def milliseconds(run):
    times = []
    for _ in range(30):
        start = time.thread_time()
        run()
        times.append(1000 * (time.thread_time() - start))
    return min(times)


signed = random.integers(-127, 128, (SIZE, SIZE), dtype=np.int8)
signed[:2] = 127  # with activations of 255: the pairs whose sum passes 16 bits
unsigned = (signed.astype(np.int16) + 128).astype(np.uint8)
x = random.integers(0, 256, (ROWS, SIZE), dtype=np.uint8)
x[:, :2] = 255
exact = x.astype(np.int32) @ signed.astype(np.int32)
u8s8 = session("MatMulInteger", "", TensorProto.UINT8, {"w": signed}, ["x", "w"])
u8u8 = session("MatMulInteger", "", TensorProto.UINT8, {"w": unsigned, "z": np.uint8(128)}, ["x", "w", "", "z"])
blocks = {"w": unsigned.reshape(SIZE, SIZE // 32, 32), "s": np.ones((SIZE, SIZE // 32), np.float32)}
nbits = session("MatMulNBits", "com.microsoft", TensorProto.FLOAT, blocks, ["x", "w", "s"], K=SIZE, N=SIZE, bits=8, block_size=32, accuracy_level=4)
feed, floats = {"x": x}, {"x": x.astype(np.float32)}
is_exact = [np.array_equal(s.run(None, feed)[0], exact) for s in (u8s8, u8u8)]
times = [milliseconds(lambda: u8s8.run(None, feed)), milliseconds(lambda: u8u8.run(None, feed)), milliseconds(lambda: nbits.run(None, floats))]
words = ["exact" if value else "saturates" for value in is_exact]
print(f"{sys.argv[1]}: signed {times[0]:.2f} {words[0]}, unsigned {times[1]:.2f} {words[1]}, MatMulNBits {times[2]:.2f}")
has_vnni = sys.argv[1] == "VNNI"
sys.exit(is_exact != [has_vnni, True] or (has_vnni and times[0] > times[1]))
END

status=0
venv/bin/python products.py VNNI || status=1
HIDE=vnni LD_PRELOAD=$place/hide.so venv/bin/python products.py "AVX512 alone" || status=1
HIDE=avx512 LD_PRELOAD=$place/hide.so venv/bin/python products.py AVX2 || status=1
exit $status
