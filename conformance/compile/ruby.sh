# SPDX-License-Identifier: GPL-2.0-or-later
# ruby.sh SOURCES TARGET: ruby's tests of sockets, as they are. See ../sources.py
sources=$1 target=$2
python3 "$(dirname "$0")/unxz.py" <"$(ls "$sources"/ruby3.3_*.orig.tar.xz)" |
	tar -x -C "$target" --strip-components=1 --wildcards \
	'ruby-*/test/runner.rb' 'ruby-*/test/lib' \
	'ruby-*/test/socket' 'ruby-*/test/net' 'ruby-*/tool/lib' \
	'ruby-*/tool/test'
