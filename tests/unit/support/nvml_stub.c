/* Copyright The otel-tts Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * A libnvidia-ml.so.1 for tests: as much of NVML as nvidia-ml-py 12 and 13 ask for here. Layouts and return codes follow
 * nvml.h as documented; written from scratch.
 *
 *   cc -O2 -Wall -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 nvml_stub.c -lpthread
 *
 * Scripted by the nvmlstub_* functions (same process, ctypes) or the environment: NVMLSTUB_DEVICES=n (default 2),
 * NVMLSTUB_INIT_ERROR=<nvmlReturn>. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <pthread.h>

typedef int rc_t;
enum { OK = 0, UNINIT = 1, BADARG = 2, NOTSUP = 3, NOPERM = 4, NOTFOUND = 6, TOOSMALL = 7,
       NODRIVER = 9, TIMEOUT = 10, LOST = 15, VERSION = 25 };
typedef unsigned long long u64; typedef unsigned int u32;

#define MAXP 8
#define MAXMIG 2
typedef struct dev {
  u32 index; char uuid[80], name[64], bus[32];
  u64 total, used, reserved;
  u32 gpu_util, mem_util, power_mw, limit_mw, temp_c, sm_clock;
  double energy_mj;                 /* exact, advanced by the virtual clock */
  u64 energy_visible_mj, energy_step_ms; double since_step_ms;
  u64 reasons, ecc_corr, ecc_uncorr;
  int lost, mig, is_mig; struct dev *parent; struct dev *migdev[MAXMIG];
  u32 gi, ci;
  u32 nproc; struct { u32 pid; u64 used; u32 gi, ci; } proc[MAXP];
  u64 xid; int xid_pending;
} sdev;

static sdev D[8]; static sdev M[16];
static u32 ND = 0, NM = 0; static int refs = 0; static u64 calls = 0;
static pthread_mutex_t L = PTHREAD_MUTEX_INITIALIZER;
static struct { char fn[64]; int rc; } inj[32]; static int ninj = 0;
static double now_ms = 0;

static volatile int hanging = 0;
static pthread_mutex_t HL = PTHREAD_MUTEX_INITIALIZER; static pthread_cond_t HC = PTHREAD_COND_INITIALIZER;
static char hang_fn[64] = "";
void nvmlstub_hang(const char *fn) { pthread_mutex_lock(&HL); snprintf(hang_fn, 64, "%s", fn ? fn : ""); pthread_cond_broadcast(&HC); pthread_mutex_unlock(&HL); }
int nvmlstub_hanging(void) { return hanging; }
static void maybe_hang(const char *fn) {
  pthread_mutex_lock(&HL);
  if (!strcmp(hang_fn, fn)) { hanging = 1; while (!strcmp(hang_fn, fn)) pthread_cond_wait(&HC, &HL); hanging = 0; }
  pthread_mutex_unlock(&HL);
}

static rc_t injected(const char *fn) {
  maybe_hang(fn);
  for (int i = 0; i < ninj; i++) if (!strcmp(inj[i].fn, fn)) return inj[i].rc;
  return OK;
}
#define ENTER(fn) do { __sync_fetch_and_add(&calls, 1); if (!refs) return UNINIT; rc_t r_ = injected(fn); if (r_) return r_; } while (0)
#define DEV(d) do { if (!(d)) return BADARG; if ((d)->lost || ((d)->parent && (d)->parent->lost)) return LOST; } while (0)

static void mkdev(sdev *d, u32 i) {
  memset(d, 0, sizeof *d); d->index = i;
  snprintf(d->uuid, sizeof d->uuid, "GPU-00000000-0000-0000-0000-%012u", i);
  snprintf(d->name, sizeof d->name, "NVIDIA Stub H100"); snprintf(d->bus, sizeof d->bus, "00000000:%02X:00.0", 0x10 + i);
  d->total = 80ull << 30; d->reserved = 600ull << 20; d->used = 1ull << 30; d->power_mw = 70000; d->limit_mw = 700000;
  d->temp_c = 35; d->sm_clock = 1980; d->energy_step_ms = 100;
}

/* ---------- control ---------- */
void nvmlstub_reset(u32 n) {
  pthread_mutex_lock(&L); ND = n > 8 ? 8 : n; NM = 0; ninj = 0; now_ms = 0; calls = 0;
  for (u32 i = 0; i < ND; i++) mkdev(&D[i], i);
  pthread_mutex_unlock(&L);
}
u64 nvmlstub_calls(void) { return calls; }
int nvmlstub_refs(void) { return refs; }
void nvmlstub_fail(const char *fn, int rc) {
  for (int i = 0; i < ninj; i++) if (!strcmp(inj[i].fn, fn)) { inj[i].rc = rc; return; }
  if (ninj < 32) { snprintf(inj[ninj].fn, 64, "%s", fn); inj[ninj++].rc = rc; }
}
int nvmlstub_set(u32 i, const char *k, u64 v) {
  if (i >= ND) return BADARG;
  sdev *d = &D[i];
#define K(x) if (!strcmp(k, #x)) { d->x = v; return OK; }
  K(total) K(used) K(reserved) K(gpu_util) K(mem_util) K(power_mw) K(limit_mw) K(temp_c) K(reasons) K(ecc_corr) K(ecc_uncorr)
  K(lost) K(sm_clock) K(energy_step_ms) K(energy_visible_mj)
  if (!strcmp(k, "xid")) { d->xid = v; d->xid_pending = 1; return OK; }
  return BADARG;
}
void nvmlstub_proc(u32 i, u32 pid, u64 used, u32 gi, u32 ci) {
  sdev *d = &D[i]; for (u32 j = 0; j < d->nproc; j++) if (d->proc[j].pid == pid) { d->proc[j].used = used; return; }
  if (d->nproc < MAXP) { d->proc[d->nproc].pid = pid; d->proc[d->nproc].used = used; d->proc[d->nproc].gi = gi; d->proc[d->nproc++].ci = ci; }
}
void nvmlstub_advance_ms(double ms) {               /* virtual time: energy = integral of power */
  pthread_mutex_lock(&L);
  for (u32 i = 0; i < ND; i++) { sdev *d = &D[i]; double left = ms;
    while (left > 0) { double s = d->energy_step_ms - d->since_step_ms; if (s > left) s = left;
      d->energy_mj += d->power_mw * s / 1000.0; d->since_step_ms += s; left -= s;
      if (d->since_step_ms >= d->energy_step_ms - 1e-9) { d->energy_visible_mj = (u64)d->energy_mj; d->since_step_ms = 0; } } }
  now_ms += ms; pthread_mutex_unlock(&L);
}
double nvmlstub_true_energy_mj(u32 i) { return D[i].energy_mj; }
void nvmlstub_enable_mig(u32 i) {
  sdev *p = &D[i]; p->mig = 1;
  for (int k = 0; k < MAXMIG; k++) { sdev *m = &M[NM++]; *m = *p; m->is_mig = 1; m->mig = 0; m->parent = p; m->gi = k + 1; m->ci = 0;
    m->total = p->total / 4; m->used = 256ull << 20; m->nproc = 0;
    snprintf(m->uuid, sizeof m->uuid, "MIG-00000000-0000-0000-%04u-%012d", i, k); p->migdev[k] = m; }
}

/* ---------- NVML ---------- */
rc_t nvmlInitWithFlags(u32 flags) {
  (void)flags; const char *e = getenv("NVMLSTUB_INIT_ERROR"); if (e && atoi(e)) return atoi(e);
  rc_t r = injected("nvmlInitWithFlags"); if (r) return r;
  if (!ND) { const char *n = getenv("NVMLSTUB_DEVICES"); nvmlstub_reset(n ? (u32)atoi(n) : 2); }
  __sync_fetch_and_add(&refs, 1); return OK;
}
rc_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
rc_t nvmlShutdown(void) { if (!refs) return UNINIT; __sync_fetch_and_sub(&refs, 1); return OK; }
const char *nvmlErrorString(rc_t r) { return r == NOTSUP ? "Not Supported" : r == LOST ? "GPU is lost" : r == OK ? "Success" : "stub error"; }
static rc_t put(char *b, u32 n, const char *s) { if (strlen(s) + 1 > n) return TOOSMALL; strcpy(b, s); return OK; }
rc_t nvmlSystemGetDriverVersion(char *b, u32 n) { ENTER("nvmlSystemGetDriverVersion"); return put(b, n, "580.159.04"); }
rc_t nvmlSystemGetNVMLVersion(char *b, u32 n) { ENTER("nvmlSystemGetNVMLVersion"); return put(b, n, "13.580.159.04"); }
rc_t nvmlSystemGetCudaDriverVersion(int *v) { ENTER("nvmlSystemGetCudaDriverVersion"); *v = 13000; return OK; }
rc_t nvmlSystemGetCudaDriverVersion_v2(int *v) { return nvmlSystemGetCudaDriverVersion(v); }
rc_t nvmlDeviceGetCount_v2(u32 *n) { ENTER("nvmlDeviceGetCount_v2"); *n = ND; return OK; }
rc_t nvmlDeviceGetHandleByIndex_v2(u32 i, sdev **d) { ENTER("nvmlDeviceGetHandleByIndex_v2"); if (i >= ND) return BADARG; if (D[i].lost) return LOST; *d = &D[i]; return OK; }
rc_t nvmlDeviceGetHandleByUUID(const char *u, sdev **d) { ENTER("nvmlDeviceGetHandleByUUID");
  for (u32 i = 0; i < ND; i++) if (!strcmp(D[i].uuid, u)) { *d = &D[i]; return OK; }
  for (u32 i = 0; i < NM; i++) if (!strcmp(M[i].uuid, u)) { *d = &M[i]; return OK; }
  return NOTFOUND; }
rc_t nvmlDeviceGetHandleByPciBusId_v2(const char *b, sdev **d) { ENTER("nvmlDeviceGetHandleByPciBusId_v2");
  for (u32 i = 0; i < ND; i++) if (!strcmp(D[i].bus, b)) { *d = &D[i]; return OK; }
  return NOTFOUND; }
rc_t nvmlDeviceGetIndex(sdev *d, u32 *i) { ENTER("nvmlDeviceGetIndex"); DEV(d); *i = d->index; return OK; }
rc_t nvmlDeviceGetName(sdev *d, char *b, u32 n) { ENTER("nvmlDeviceGetName"); DEV(d); return put(b, n, d->name); }
rc_t nvmlDeviceGetUUID(sdev *d, char *b, u32 n) { ENTER("nvmlDeviceGetUUID"); DEV(d); return put(b, n, d->uuid); }
typedef struct { u64 total, free, used; } mem1_t;
typedef struct { u32 version; u64 total, reserved, free, used; } mem2_t;
rc_t nvmlDeviceGetMemoryInfo(sdev *d, mem1_t *m) { ENTER("nvmlDeviceGetMemoryInfo"); DEV(d); if (d->mig) return NOPERM;
  m->total = d->total; m->used = d->used + d->reserved; m->free = m->total - m->used; return OK; }
rc_t nvmlDeviceGetMemoryInfo_v2(sdev *d, mem2_t *m) { ENTER("nvmlDeviceGetMemoryInfo_v2"); DEV(d); if (d->mig) return NOPERM;
  if (m->version != ((u32)sizeof(mem2_t) | (2u << 24))) return VERSION;
  m->total = d->total; m->reserved = d->reserved; m->used = d->used; m->free = d->total - d->used - d->reserved; return OK; }
typedef struct { u32 gpu, memory; } util_t;
rc_t nvmlDeviceGetUtilizationRates(sdev *d, util_t *u) { ENTER("nvmlDeviceGetUtilizationRates"); DEV(d); if (d->mig || d->is_mig) return NOTSUP; u->gpu = d->gpu_util; u->memory = d->mem_util; return OK; }
typedef struct { u32 pid; u64 used; u32 gi, ci; } pinfo_t;
rc_t nvmlDeviceGetComputeRunningProcesses_v3(sdev *d, u32 *n, pinfo_t *p) { ENTER("nvmlDeviceGetComputeRunningProcesses_v3"); DEV(d);
  if (*n < d->nproc || (!p && d->nproc)) { *n = d->nproc; return TOOSMALL; }
  *n = d->nproc; for (u32 i = 0; i < d->nproc; i++) { p[i].pid = d->proc[i].pid; p[i].used = d->proc[i].used; p[i].gi = d->proc[i].gi; p[i].ci = d->proc[i].ci; } return OK; }
rc_t nvmlDeviceGetTotalEnergyConsumption(sdev *d, u64 *e) { ENTER("nvmlDeviceGetTotalEnergyConsumption"); DEV(d); if (d->is_mig) return NOTSUP; *e = d->energy_visible_mj; return OK; }
rc_t nvmlDeviceGetPowerUsage(sdev *d, u32 *p) { ENTER("nvmlDeviceGetPowerUsage"); DEV(d); if (d->is_mig) return NOTSUP; *p = d->power_mw; return OK; }
rc_t nvmlDeviceGetEnforcedPowerLimit(sdev *d, u32 *p) { ENTER("nvmlDeviceGetEnforcedPowerLimit"); DEV(d); *p = d->limit_mw; return OK; }
rc_t nvmlDeviceGetTemperature(sdev *d, int s, u32 *t) { ENTER("nvmlDeviceGetTemperature"); DEV(d); if (s) return BADARG; *t = d->temp_c; return OK; }
rc_t nvmlDeviceGetClockInfo(sdev *d, int t, u32 *c) { ENTER("nvmlDeviceGetClockInfo"); DEV(d); *c = t == 2 ? 3201 : d->sm_clock; return OK; }
rc_t nvmlDeviceGetCurrentClocksEventReasons(sdev *d, u64 *r) { ENTER("nvmlDeviceGetCurrentClocksEventReasons"); DEV(d); *r = d->reasons; return OK; }
rc_t nvmlDeviceGetTotalEccErrors(sdev *d, int et, int ct, u64 *c) { ENTER("nvmlDeviceGetTotalEccErrors"); DEV(d); (void)ct; *c = et ? d->ecc_uncorr : d->ecc_corr; return OK; }
rc_t nvmlDeviceGetMigMode(sdev *d, u32 *c, u32 *p) { ENTER("nvmlDeviceGetMigMode"); DEV(d); *c = *p = d->mig; return OK; }
rc_t nvmlDeviceGetMaxMigDeviceCount(sdev *d, u32 *c) { ENTER("nvmlDeviceGetMaxMigDeviceCount"); DEV(d); *c = d->mig ? 7 : 0; return OK; }
rc_t nvmlDeviceGetMigDeviceHandleByIndex(sdev *d, u32 i, sdev **m) { ENTER("nvmlDeviceGetMigDeviceHandleByIndex"); DEV(d); if (!d->mig) return NOTSUP; if (i >= MAXMIG) return NOTFOUND; *m = d->migdev[i]; return OK; }
rc_t nvmlDeviceIsMigDeviceHandle(sdev *d, u32 *r) { ENTER("nvmlDeviceIsMigDeviceHandle"); DEV(d); *r = d->is_mig; return OK; }
rc_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(sdev *m, sdev **d) { ENTER("nvmlDeviceGetDeviceHandleFromMigDeviceHandle"); DEV(m); if (!m->is_mig) return NOTFOUND; *d = m->parent; return OK; }
rc_t nvmlDeviceGetGpuInstanceId(sdev *d, u32 *g) { ENTER("nvmlDeviceGetGpuInstanceId"); DEV(d); if (!d->is_mig) return NOTSUP; *g = d->gi; return OK; }
typedef struct { u32 fieldId, scopeId; int64_t timestamp, latencyUsec; u32 valueType; rc_t ret; union { double d; u32 ui; u64 ull; int64_t sll; } v; } fv_t;
rc_t nvmlDeviceGetFieldValues(sdev *d, int n, fv_t *f) { ENTER("nvmlDeviceGetFieldValues"); DEV(d);
  for (int i = 0; i < n; i++) { f[i].timestamp = (int64_t)(now_ms * 1000); f[i].latencyUsec = 3; f[i].ret = OK;
    switch (f[i].fieldId) {
      case 83: case 191: f[i].valueType = 3; f[i].v.ull = d->energy_visible_mj; break;      /* total energy, ULL */
      case 185: case 186: f[i].valueType = 1; f[i].v.ui = d->power_mw; break;              /* power average / instant */
      default: f[i].ret = NOTSUP; } } return OK; }
typedef struct { sdev *device; u64 type, data; u32 gi, ci; } evd_t;
static int evset_dummy;
rc_t nvmlEventSetCreate(void **s) { ENTER("nvmlEventSetCreate"); *s = &evset_dummy; return OK; }
rc_t nvmlDeviceRegisterEvents(sdev *d, u64 t, void *s) { ENTER("nvmlDeviceRegisterEvents"); DEV(d); (void)t; (void)s; return OK; }
rc_t nvmlEventSetWait_v2(void *s, evd_t *e, u32 to) { ENTER("nvmlEventSetWait_v2"); (void)s; (void)to;
  for (u32 i = 0; i < ND; i++) if (D[i].xid_pending) { D[i].xid_pending = 0; e->device = &D[i]; e->type = 8; e->data = D[i].xid; e->gi = e->ci = 0xFFFFFFFFu; return OK; }
  return TIMEOUT; }
rc_t nvmlEventSetFree(void *s) { ENTER("nvmlEventSetFree"); (void)s; return OK; }
