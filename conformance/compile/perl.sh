# SPDX-License-Identifier: GPL-2.0-or-later
# perl.sh SOURCES TARGET: perl's tests of sockets, as they are. See ../sources.py
sources=$1 target=$2
# The name of the other archive goes on after the version.
python3 "$(dirname "$0")/unxz.py" <"$(ls "$sources"/perl_*.orig.tar.xz)" |
	tar -x -C "$target" --strip-components=1 --wildcards \
	'*/t/test.pl' '*/t/loc_tools.pl' \
	'*/t/charset_tools.pl' '*/t/lib/common.pl' '*/t/io/socket.t' \
	'*/t/io/socketpair.t' 'perl-*/dist/IO/t' 'perl-*/cpan/Socket/t' \
	'perl-*/cpan/IO-Socket-IP/t' 'perl-*/cpan/libnet/t'
