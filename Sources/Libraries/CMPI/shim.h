// Swift does not see what MPI names by macros with a cast, nor system calls with a variable number of arguments.
#ifndef DALLE_CMPI_SHIM_H
#define DALLE_CMPI_SHIM_H

#include <mpi.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <unistd.h>

static inline MPI_Comm dalle_mpi_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Datatype dalle_mpi_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype dalle_mpi_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype dalle_mpi_float(void) { return MPI_FLOAT; }
static inline MPI_Op dalle_mpi_sum(void) { return MPI_SUM; }
static inline void *dalle_mpi_in_place(void) { return MPI_IN_PLACE; }

static inline int dalle_mpi_initialize(int *provided) {
  return MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, provided);
}

// What fails is returned instead of ending the process.
static inline void dalle_mpi_return_errors(MPI_Comm comm) { MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN); }

// The processes that share memory.
static inline int dalle_mpi_split_by_host(MPI_Comm comm, MPI_Comm *host) {
  return MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, host);
}

static inline int dalle_mpi_test_all(int count, MPI_Request *requests, int *done) {
  return MPI_Testall(count, requests, done, MPI_STATUSES_IGNORE);
}

// Memory of a process that others can open: zeros, which take no room before they are written. Unlike /dev/shm it has no
// limit of its own, and nothing is left of it when its processes are gone.
static inline int dalle_mpi_make_memory(size_t size) {
  int file = (int)syscall(SYS_memfd_create, "dalle", 1 /* closed on exec */);
  if (file >= 0 && ftruncate(file, (off_t)size) != 0) {
    close(file);
    return -1;
  }
  return file;
}

static inline int dalle_mpi_open_memory(int process, int file) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", process, file);
  return open(path, O_RDWR | O_CLOEXEC);
}

// Shared where there is a file, this process's own where it is below 0; NULL where there is no room.
static inline void *dalle_mpi_map_memory(int file, size_t size) {
  int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, file, 0);
  if (memory == MAP_FAILED) return NULL;
  madvise(memory, size, 14 /* huge pages */);
  return memory;
}

#endif
