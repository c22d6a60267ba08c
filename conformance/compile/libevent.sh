# SPDX-License-Identifier: GPL-2.0-or-later
# libevent.sh SOURCES TARGET: libevent's test program. See ../sources.py
sources=$1 target=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
tar -xzf "$sources"/libevent_*.orig.tar.gz --strip-components=1
./configure --disable-shared --disable-openssl --disable-mbedtls \
	--disable-samples
make -j2
make test/regress
cp test/regress "$target"
