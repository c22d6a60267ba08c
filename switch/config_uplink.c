// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The uplink in the configuration: the section uplink and the published ports.
 * Called by config.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "switch/address.h"
#include "switch/config_part.h"
#include "switch/value.h"

#define MAX_PUBLISHES	4096
/* Measured: from here on it saves time, and below it is no slower. */
#define ZERO_COPY_BYTES	16384
#define ARROW		"->"
#define BLANKS		" \t"

/* A line of publish, taken apart. */
struct publish_text {
	char host[VMC_ADDRESS_TEXT_BYTES + sizeof("/udp")];
	char vm[VMC_NAME_BYTES];
	char port[6];
};

cfg_opt_t vmc_config_uplink_keys[] = {
	VMC_CONFIG_WORDS("resolvers", NULL, vmc_config_keep_word),
	VMC_CONFIG_WORDS("host_addresses", NULL, vmc_config_keep_word),
	CFG_INT("zero_copy_size", ZERO_COPY_BYTES, CFGF_NONE),
	CFG_END(),
};

static const struct vmc_config_word *word_at(cfg_opt_t *opt, unsigned int i)
{
	return cfg_opt_getnptr(opt, i);
}

static int check_resolvers(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned int last = cfg_opt_size(opt) - 1;
	const char *text = word_at(opt, last)->text;
	struct vmc_name name;

	if (last >= VMC_MAX_RESOLVERS) {
		vmc_config_complain(cfg, "%s: there are at most %d", opt->name,
				    VMC_MAX_RESOLVERS);
		return -1;
	}
	if (vmc_value_address(text, &name) || !vmc_value_is_unicast(&name)) {
		vmc_config_complain(cfg, "%s: \"%s\" is not the IP address of a name server",
				    opt->name, text);
		return -1;
	}
	if (vmc_name_is_loopback(&name)) {
		vmc_config_complain(cfg, "%s: \"%s\" means the guest itself there; name one of host_addresses instead, and allow it by a rule",
				    opt->name, text);
		return -1;
	}
	return 0;
}

static int check_host_addresses(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned int i, last = cfg_opt_size(opt) - 1;
	const char *text = word_at(opt, last)->text;
	struct vmc_name name, other;

	if (vmc_value_address(text, &name) || !vmc_value_is_unicast(&name) ||
	    vmc_name_is_loopback(&name)) {
		vmc_config_complain(cfg, "%s: \"%s\" is not an IP address that guests can dial, such as 10.77.0.254",
				    opt->name, text);
		return -1;
	}
	for (i = 0; i < last; i++) {
		vmc_value_address(word_at(opt, i)->text, &other);
		if (other.family != name.family)
			continue;
		vmc_config_complain(cfg, "%s: \"%s\" is of the same family as \"%s\"; there is at most one of each",
				    opt->name, text, word_at(opt, i)->text);
		return -1;
	}
	return 0;
}

static int check_uplink(cfg_t *cfg, cfg_opt_t *opt)
{
	if (cfg_opt_size(opt) == 1)
		return 0;
	vmc_config_complain(cfg, "%s: there is such a section already",
			    opt->name);
	return -1;
}

/* The piece from @begin to @end without blanks around it. */
static int take_piece(const char *begin, const char *end, char *piece,
		      size_t room)
{
	size_t bytes;

	begin += strspn(begin, BLANKS);
	while (end > begin && strchr(BLANKS, end[-1]))
		end--;
	if (end <= begin)
		return -EINVAL;
	bytes = (size_t)(end - begin);
	if (bytes >= room)
		return -EINVAL;
	memcpy(piece, begin, bytes);
	piece[bytes] = '\0';
	return 0;
}

/* Takes "/tcp" or "/udp" off the end; without either it is TCP. */
static int parse_protocol(char *host, enum vmc_protocol *ret_protocol)
{
	char *slash = strchr(host, '/');

	*ret_protocol = VMC_PROTOCOL_TCP;
	if (!slash)
		return 0;
	*slash = '\0';
	if (!strcmp(slash + 1, "udp"))
		*ret_protocol = VMC_PROTOCOL_UDP;
	else if (strcmp(slash + 1, "tcp"))
		return -EINVAL;
	return 0;
}

static int parse_publish(const char *text, enum vmc_protocol *ret_protocol,
			 struct vmc_name *ret_host,
			 char ret_vm[VMC_NAME_BYTES], uint16_t *ret_port)
{
	const char *arrow = strstr(text, ARROW), *colon;
	struct vmc_port_range port;
	struct publish_text pieces;

	if (!arrow)
		return -EINVAL;
	colon = strrchr(arrow, ':');
	if (!colon ||
	    take_piece(text, arrow, pieces.host, sizeof(pieces.host)) ||
	    take_piece(arrow + strlen(ARROW), colon, pieces.vm,
		       sizeof(pieces.vm)) ||
	    take_piece(colon + 1, text + strlen(text), pieces.port,
		       sizeof(pieces.port)))
		return -EINVAL;
	if (parse_protocol(pieces.host, ret_protocol) ||
	    vmc_value_name(pieces.host, ret_host) ||
	    vmc_value_ports(pieces.port, &port) || port.first != port.last)
		return -EINVAL;
	memcpy(ret_vm, pieces.vm, sizeof(pieces.vm));
	*ret_port = port.first;
	return 0;
}

/* Whether the host may listen there; the wildcard takes every address. */
static bool may_listen_at(const struct vmc_name *name)
{
	return vmc_name_is_wildcard(name) || vmc_value_is_unicast(name);
}

/**
 * vmc_config_check_publish - libconfuse's callback for a line of publish
 * @cfg: the file
 * @opt: the key
 * @value: the line
 * @result: as for vmc_config_keep_word()
 *
 * Return: 0, or -1 when there is a mistake, which is told.
 */
int vmc_config_check_publish(cfg_t *cfg, cfg_opt_t *opt, const char *value,
			     void *result)
{
	enum vmc_protocol protocol;
	char vm[VMC_NAME_BYTES];
	struct vmc_name host;
	uint16_t port;

	if (!parse_publish(value, &protocol, &host, vm, &port) &&
	    may_listen_at(&host))
		return vmc_config_keep_word(cfg, opt, value, result);
	vmc_config_complain(cfg, "%s: \"%s\" is not like \"192.0.2.1:8080 -> web:80\" or \"[2001:db8::1]:53/udp -> dns:53\"",
			    opt->name, value);
	return -1;
}

/**
 * vmc_config_set_uplink_checks - have the uplink checked
 * @cfg: the file
 */
void vmc_config_set_uplink_checks(cfg_t *cfg)
{
	cfg_set_validate_func(cfg, "uplink", check_uplink);
	cfg_set_validate_func(cfg, "uplink|resolvers", check_resolvers);
	cfg_set_validate_func(cfg, "uplink|host_addresses",
			      check_host_addresses);
	cfg_set_validate_func(cfg, "uplink|zero_copy_size",
			      vmc_config_check_number);
}

static unsigned int copy_addresses(cfg_opt_t *opt, unsigned int max,
				   struct vmc_address *addresses)
{
	unsigned int i, nr = cfg_opt_size(opt);
	struct vmc_name name;

	for (i = 0; i < nr && i < max; i++) {
		vmc_value_address(word_at(opt, i)->text, &name);
		addresses[i].family = name.family;
		memcpy(addresses[i].address, name.address,
		       sizeof(name.address));
	}
	return i;
}

static int copy_section(cfg_t *cfg, struct vmc_config *config)
{
	struct vmc_config_uplink *uplink = &config->uplink;
	cfg_t *section = cfg_getnsec(cfg, "uplink", 0);
	cfg_opt_t *names = cfg_getopt(section, "host_addresses");
	const struct vmc_config_vm *owner;
	struct vmc_name name;
	unsigned int i;

	uplink->is_enabled = true;
	uplink->zero_copy_bytes =
		(uint32_t)cfg_getint(section, "zero_copy_size");
	uplink->nr_resolvers =
		copy_addresses(cfg_getopt(section, "resolvers"),
			       VMC_MAX_RESOLVERS, uplink->resolvers);
	uplink->nr_host_addresses =
		copy_addresses(names, 2, uplink->host_addresses);
	for (i = 0; i < uplink->nr_host_addresses; i++) {
		vmc_value_address(word_at(names, i)->text, &name);
		owner = vmc_config_find_owner(config, &name);
		if (!owner)
			continue;
		vmc_config_complain_at(section, word_at(names, i)->line,
				       "host_addresses: \"%s\" belongs to vm \"%s\" already",
				       word_at(names, i)->text, owner->name);
		return -EINVAL;
	}
	return 0;
}

static int find_guest(const struct vmc_config_vm *vm,
		      const struct vmc_name *host, uint16_t port,
		      struct vmc_name *ret_guest)
{
	unsigned int i;

	for (i = 0; i < vm->nr_addresses; i++) {
		if (vm->addresses[i].family != host->family)
			continue;
		memset(ret_guest, 0, sizeof(*ret_guest));
		ret_guest->family = host->family;
		ret_guest->port = htole16(port);
		memcpy(ret_guest->address, vm->addresses[i].address,
		       sizeof(ret_guest->address));
		return 0;
	}
	return -ENOENT;
}

static int copy_publish(cfg_t *cfg, const struct vmc_config_word *word,
			struct vmc_config *config)
{
	struct vmc_config_publish publish = { 0 };
	const struct vmc_name *other;
	char vm[VMC_NAME_BYTES];
	unsigned int i;
	uint16_t port;

	parse_publish(word->text, &publish.protocol, &publish.host, vm, &port);
	if (vmc_config_find_vm(config, vm, &publish.vm)) {
		vmc_config_complain_at(cfg, word->line,
				       "publish: \"%s\": there is no vm \"%s\"",
				       word->text, vm);
		return -EINVAL;
	}
	if (find_guest(&config->vms[publish.vm], &publish.host, port,
		       &publish.guest)) {
		vmc_config_complain_at(cfg, word->line,
				       "publish: \"%s\": vm \"%s\" has no IPv%d address",
				       word->text, vm, publish.host.family);
		return -EINVAL;
	}
	for (i = 0; i < config->nr_publishes; i++) {
		other = &config->publishes[i].host;
		if (config->publishes[i].protocol != publish.protocol ||
		    other->port != publish.host.port ||
		    !vmc_name_has_same_address(other, &publish.host))
			continue;
		vmc_config_complain_at(cfg, word->line,
				       "publish: \"%s\": the host's side is that of \"%s\" already",
				       word->text, config->publishes[i].text);
		return -EINVAL;
	}
	publish.text = strdup(word->text);
	if (!publish.text)
		return -ENOMEM;
	config->publishes[config->nr_publishes++] = publish;
	return 0;
}

/**
 * vmc_config_copy_uplink - take over the uplink from a file
 * @cfg: the file, read
 * @config: has its VMs; gets the uplink and what is published
 *
 * Return: 0; -EINVAL for a mistake, which is told; -ENOMEM.
 */
int vmc_config_copy_uplink(cfg_t *cfg, struct vmc_config *config)
{
	cfg_opt_t *lines = cfg_getopt(cfg, "publish");
	unsigned int i, nr = cfg_opt_size(lines);
	int error;

	if (cfg_size(cfg, "uplink")) {
		error = copy_section(cfg, config);
		if (error)
			return error;
	}
	if (!nr)
		return 0;
	if (!config->uplink.is_enabled) {
		vmc_config_complain_at(cfg, word_at(lines, 0)->line,
				       "publish: there is no uplink; add a section uplink");
		return -EINVAL;
	}
	if (nr > MAX_PUBLISHES) {
		vmc_config_complain_at(cfg, word_at(lines, nr - 1)->line,
				       "publish: there are more than %d",
				       MAX_PUBLISHES);
		return -EINVAL;
	}
	config->publishes = calloc(nr, sizeof(*config->publishes));
	if (!config->publishes)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		error = copy_publish(cfg, word_at(lines, i), config);
		if (error)
			return error;
	}
	return 0;
}
