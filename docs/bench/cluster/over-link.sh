#!/bin/bash
# mpirun on both hosts that link.py makes, one process each: over-link.sh PROGRAM ARGUMENT...
here=$(cd "$(dirname "$0")" && pwd)
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Shared memory would go round the link; and both hosts are one machine here, whose first core either would take for its own.
exec "$here/host.sh" 10.9.0.1 mpirun -n 2 --bind-to none --host 10.9.0.1:1,10.9.0.2:1 --mca plm_rsh_agent "$here/host.sh" \
    --mca mpi_yield_when_idle 1 --mca btl tcp,self --mca btl_tcp_if_include link0 --mca oob_tcp_if_include link0 "$@"
