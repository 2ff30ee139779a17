// The instructions that tensor-core kernels are made of, each as one function. Nothing else here holds PTX.
//
// Element type: 16-bit floats kept as raw bits; HALF chooses float16, otherwise bfloat16. Sums are float32.
// WGMMA (sm_90a only) adds the warpgroup products, which read their operands from shared memory by descriptor.
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

// Makes this thread's writes to shared memory visible to warpgroup products.
__device__ __forceinline__ void fence_shared_for_wgmma() {
#ifdef WGMMA
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
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

#ifdef WGMMA
// Barriers in shared memory, 8 bytes each: a phase ends with the `count`-th arrival; waits name the phase's parity.
__device__ __forceinline__ void mbarrier_init(word barrier, int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive(word barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
__device__ __forceinline__ bool mbarrier_try(word barrier, int parity) {
  int done;
  asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.b32 %0, 1, 0, p; }"
               : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
  return done != 0;
}
__device__ __forceinline__ void mbarrier_wait(word barrier, int parity) {
  while (!mbarrier_try(barrier, parity)) {
  }
}

// Barriers 1 … 15 of the block among `count` threads; an arrival does not wait.
__device__ __forceinline__ void named_barrier_sync(int barrier, int count) {
  asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(count) : "memory");
}
__device__ __forceinline__ void named_barrier_arrive(int barrier, int count) {
  asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(count) : "memory");
}

// Registers a thread, by all warps of a warpgroup.
template <int Count>
__device__ __forceinline__ void registers_raise() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Count));
}
template <int Count>
__device__ __forceinline__ void registers_lower() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Count));
}

// Registers of products under way may be touched only between wgmma_wait and wgmma_fence.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int Pending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}
// Keeps the compiler from moving uses of a register across this point.
__device__ __forceinline__ void wgmma_pin(float& x) { asm volatile("" : "+f"(x)::"memory"); }
__device__ __forceinline__ void wgmma_pin(word& x) { asm volatile("" : "+r"(x)::"memory"); }

#define OUT8(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define OUT32(d, i) OUT8(d, i), OUT8(d, i + 8), OUT8(d, i + 16), OUT8(d, i + 24)
#define LIST32 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define LIST64 LIST32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define WGMMA_NAME(n) "wgmma.mma_async.sync.aligned.m64n" n "k16.f32." ELEMENT_PTX "." ELEMENT_PTX " "

// d[64×N] = a[64×16] · b[16×N] (+ d when `add`), by 4 warps; a and b in shared memory with 16 contiguous along k.
__device__ __forceinline__ void wgmma_ss(float (&d)[32], unsigned long long a, unsigned long long b, int add) {
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %34, 0; " WGMMA_NAME("64") "{" LIST32 "}, %32, %33, p, 1, 1, 0, 0; }"
               : OUT32(d, 0) : "l"(a), "l"(b), "r"(add) : "memory");
}
__device__ __forceinline__ void wgmma_ss(float (&d)[64], unsigned long long a, unsigned long long b, int add) {
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %66, 0; " WGMMA_NAME("128") "{" LIST64 "}, %64, %65, p, 1, 1, 0, 0; }"
               : OUT32(d, 0), OUT32(d, 32) : "l"(a), "l"(b), "r"(add) : "memory");
}
// The same with a in registers, b contiguous along n, and always added.
__device__ __forceinline__ void wgmma_rs_trans(float (&d)[32], const word* a, unsigned long long b) {
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %37, 0; " WGMMA_NAME("64") "{" LIST32 "}, {%32, %33, %34, %35}, %36, p, 1, 1, 1; }"
               : OUT32(d, 0) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1) : "memory");
}
__device__ __forceinline__ void wgmma_rs_trans(float (&d)[64], const word* a, unsigned long long b) {
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %69, 0; " WGMMA_NAME("128") "{" LIST64 "}, {%64, %65, %66, %67}, %68, p, 1, 1, 1; }"
               : OUT32(d, 0), OUT32(d, 32) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1) : "memory");
}
#endif
