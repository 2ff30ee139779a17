// The instructions of sm_90a for groups of four warps, each as one function: barriers in shared memory, registers moved
// from warpgroup to warpgroup, and products that read their operands from shared memory by descriptor.

#include "tensorCore.cuh"

// Makes this thread's writes to shared memory visible to warpgroup products.
__device__ __forceinline__ void fence_shared_for_wgmma() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

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
#define LIST128 LIST64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
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
__device__ __forceinline__ void wgmma_rs_trans(float (&d)[128], const word* a, unsigned long long b) {
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %133, 0; " WGMMA_NAME("256") "{" LIST128 "}, {%128, %129, %130, %131}, %132, p, 1, 1, 1; }"
               : OUT32(d, 0), OUT32(d, 32), OUT32(d, 64), OUT32(d, 96) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1) : "memory");
}
