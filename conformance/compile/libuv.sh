# SPDX-License-Identifier: GPL-2.0-or-later
# libuv.sh SOURCES TARGET: libuv's test program. See ../sources.py
sources=$1 target=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
tar -xzf "$sources"/libuv1_*.orig.tar.gz --strip-components=1
# Those of other systems, and the programs that measure.
unix=$(ls src/unix/*.c | grep -v -E 'aix|bsd|cygwin|darwin|fsevents|haiku|hurd|ibmi|kqueue|no-|os390|pthread-fixes|qnx|sunos|sysinfo-|posix-|random-getentropy|sysctl')
tests=$(ls test/*.c | grep -v -E 'benchmark|-win\.c')
flags="-O1 -w -pthread -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64
	-D_LARGEFILE_SOURCE -Iinclude -Isrc"
cc $flags -c src/*.c $unix src/unix/random-sysctl-linux.c
# A library, for some tests have parts of it in themselves.
ar rcs libuv.a *.o
cc $flags -o "$target/uv_run_tests" $tests libuv.a -ldl
cp -r test/fixtures "$target"
