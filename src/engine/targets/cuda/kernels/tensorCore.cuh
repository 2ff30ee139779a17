// The instructions of sm_80 that tensor-core kernels are made of, each as one function; warpgroup.cuh has those of
// sm_90a. Kernels hold no PTX of their own.
//
// Element type: 16-bit floats kept as raw bits; HALF chooses float16, otherwise bfloat16. Sums are float32.
// Shared addresses are 32-bit offsets in the shared window.

typedef unsigned short element;
typedef unsigned int word;  // two elements, the first in the low half

#ifdef HALF
#define ELEMENT_PTX "f16"
#else
#define ELEMENT_PTX "bf16"
#endif

__device__ __forceinline__ word shared_address(const void* pointer) {
  return (word)__cvta_generic_to_shared(pointer);
}

// Copies 16 bytes from global to shared memory in the background; writes zeros when not `valid`.
__device__ __forceinline__ void cp_async_16(word to, const void* from, bool valid) {
  int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)), "r"(bytes) : "memory");
}

__device__ __forceinline__ void cp_async_8(word to, const void* from, bool valid) {
  int bytes = valid ? 8 : 0;
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)), "r"(bytes) : "memory");
}

__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `Pending` of this thread's committed groups are under way.
template <int Pending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

// Four 8×8 matrices of elements; lane l gives the address of row l % 8 of matrix l / 8.
__device__ __forceinline__ void ldmatrix_x4(word (&r)[4], word address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

__device__ __forceinline__ void ldmatrix_x4_trans(word (&r)[4], word address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

// d[16×8] += a[16×16] · b[16×8], by one warp.
__device__ __forceinline__ void mma_m16n8k16(float* d, const word* a, word b0, word b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." ELEMENT_PTX "." ELEMENT_PTX
               ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// Rounds two floats to elements.
__device__ __forceinline__ word pack(float low, float high) {
  word r;
  asm("cvt.rn." ELEMENT_PTX "x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

__device__ __forceinline__ float unpack_low(word x) {
#ifdef HALF
  float y;
  asm("{ .reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, l; }" : "=f"(y) : "r"(x));
  return y;
#else
  return __uint_as_float(x << 16);
#endif
}

__device__ __forceinline__ float unpack_high(word x) {
#ifdef HALF
  float y;
  asm("{ .reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h; }" : "=f"(y) : "r"(x));
  return y;
#else
  return __uint_as_float(x & 0xffff0000u);
#endif
}
