// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests on the control socket about the policy, and the lines that answer
 * them. Owns nothing. Called by control_reply.c.
 *
 * "policy-list" is answered by lines of the types rule and default, in the
 * order in which they are asked. "policy-test" has the members "vm",
 * "protocol": "tcp" | "udp" | "icmp", "direction": "out" | "in", "remote", and for "in"
 * the VM's "port"; the answer has the type verdict. "policy-reload" is
 * answered by the type reload. A password is in no line.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "switch/address.h"
#include "switch/control_policy.h"
#include "switch/explain.h"
#include "switch/line.h"
#include "switch/reload.h"
#include "switch/value.h"

static const char *member(struct json_object *request, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(request, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

static int read_port(struct json_object *request, uint16_t *ret_port)
{
	struct json_object *value;
	int64_t port;

	if (!json_object_object_get_ex(request, "port", &value) ||
	    !json_object_is_type(value, json_type_int))
		return -EINVAL;
	port = json_object_get_int64(value);
	if (port < 1 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

/**
 * vmc_control_policy_read - understand what policy-test asks
 * @request: unchecked, an object
 * @reply: its query is set but for the VM
 * @ret_complaint: what is wrong with the request, on failure
 *
 * Return: 0 or -EINVAL.
 */
int vmc_control_policy_read(struct json_object *request,
			    struct vmc_control_reply *reply,
			    const char **ret_complaint)
{
	const char *protocol = member(request, "protocol");
	const char *direction = member(request, "direction");
	const char *remote = member(request, "remote");
	struct vmc_policy_query query = { 0 };
	bool is_in = !strcmp(direction, "in");

	*ret_complaint = "the protocol is none of tcp, udp and icmp";
	if (vmc_policy_protocol_find(protocol, &query.protocol))
		return -EINVAL;
	*ret_complaint = "the direction is neither out nor in";
	if (!is_in && strcmp(direction, "out"))
		return -EINVAL;
	query.direction = is_in ? VMC_INBOUND : VMC_OUTBOUND;
	if (query.protocol == VMC_PROTOCOL_ICMP) {
		*ret_complaint = is_in ? "no echo request comes in" :
			"the destination is not an address such as 192.0.2.1";
		if (is_in || vmc_value_address(remote, &query.remote))
			return -EINVAL;
		reply->query = query;
		return 0;
	}
	*ret_complaint = is_in ?
		"who connects is not an address such as 198.51.100.7" :
		"the destination is not like 192.0.2.1:443 or [2001:db8::1]:443";
	if (is_in ? vmc_value_address(remote, &query.remote) :
		    vmc_value_name(remote, &query.remote))
		return -EINVAL;
	*ret_complaint = "the VM's port is not between 1 and 65535";
	if (is_in && read_port(request, &query.vm_port))
		return -EINVAL;
	reply->query = query;
	return 0;
}

static struct json_object *list_vms(const struct vmc_rule *rule)
{
	struct json_object *list = json_object_new_array();
	unsigned int i;

	for (i = 0; i < rule->nr_vms; i++)
		json_object_array_add(list,
				      json_object_new_string(rule->vms[i]));
	return list;
}

static struct json_object *list_remotes(const struct vmc_rule *rule)
{
	struct json_object *list = json_object_new_array();
	char text[VMC_ADDRESS_TEXT_BYTES];
	unsigned int i;

	for (i = 0; i < rule->nr_remotes; i++)
		json_object_array_add(list, json_object_new_string(
			vmc_address_format(&rule->remotes[i], text)));
	return list;
}

static struct json_object *list_ports(const struct vmc_rule *rule)
{
	struct json_object *list = json_object_new_array();
	const struct vmc_port_range *range;
	char text[16];
	unsigned int i;

	for (i = 0; i < rule->nr_ports; i++) {
		range = &rule->ports[i];
		if (range->first == range->last)
			snprintf(text, sizeof(text), "%u", range->first);
		else
			snprintf(text, sizeof(text), "%u-%u", range->first,
				 range->last);
		json_object_array_add(list, json_object_new_string(text));
	}
	return list;
}

static void add_carriage(struct json_object *line,
			 const struct vmc_policy_verdict *verdict)
{
	const struct vmc_carriage *carriage = verdict->carriage;

	vmc_line_add_text(line, "transport", carriage->is_mptcp ? "mptcp" : "tcp");
	if (carriage->congestion[0])
		vmc_line_add_text(line, "congestion", carriage->congestion);
	if (carriage->has_proxy)
		vmc_line_add_text(line, "proxy", verdict->rule->proxy);
}

static struct json_object *tell_rule(const struct vmc_rule *rule,
				     uint64_t nr_decided)
{
	const struct vmc_policy_verdict verdict = {
		.carriage = &rule->carriage,
		.rule = rule,
	};
	struct json_object *line = vmc_line_new("rule");
	bool is_out = rule->direction == VMC_OUTBOUND;

	vmc_line_add_text(line, "name", rule->name);
	vmc_line_add_number(line, "line", (uint64_t)rule->line);
	vmc_line_add_text(line, "action", rule->is_allow ? "allow" : "deny");
	vmc_line_add_text(line, "direction", is_out ? "out" : "in");
	json_object_object_add(line, "vm", list_vms(rule));
	vmc_line_add_text(line, "protocol", rule->is_any_protocol ? "any" :
			  vmc_policy_protocol_text(rule->protocol));
	json_object_object_add(line, "remote", list_remotes(rule));
	json_object_object_add(line, "ports", list_ports(rule));
	if (is_out && rule->is_allow)
		add_carriage(line, &verdict);
	vmc_line_add_number(line, "decided", nr_decided);
	return line;
}

static struct json_object *tell_default(enum vmc_policy_default number,
					uint64_t nr_decided)
{
	struct json_object *line = vmc_line_new("default");

	vmc_line_add_text(line, "reason", vmc_policy_default_text(number));
	vmc_line_add_number(line, "decided", nr_decided);
	return line;
}

/* A name without its port. */
static const char *address_of(const struct vmc_name *name,
			      char text[VMC_ADDRESS_TEXT_BYTES])
{
	inet_ntop(name->family == VMC_FAMILY_INET ? AF_INET : AF_INET6,
		  name->address, text, VMC_ADDRESS_TEXT_BYTES);
	return text;
}

static struct json_object *tell_verdict(const struct vmc_broker *broker,
					const struct vmc_control_reply *reply)
{
	struct vmc_policy_query query = reply->query;
	struct json_object *line = vmc_line_new("verdict");
	struct vmc_explanation explanation;
	char text[VMC_ADDRESS_TEXT_BYTES];
	bool is_allowed;

	query.vm = broker->table.vms[reply->vm].config;
	explanation = vmc_explain(&broker->table, &query);
	is_allowed = explanation.verdict.is_allowed;
	json_object_object_add(line, "allowed",
			       json_object_new_boolean(is_allowed));
	vmc_line_add_text(line, "reason", explanation.verdict.reason);
	vmc_line_add_text(line, "vm", query.vm->name);
	if (query.protocol == VMC_PROTOCOL_ICMP && is_allowed) {
		vmc_line_add_text(line, "target",
				  address_of(&explanation.target, text));
		vmc_line_add_text(line, "transport",
				  vmc_policy_protocol_text(query.protocol));
	} else if (query.direction == VMC_OUTBOUND && is_allowed) {
		vmc_line_add_text(line, "target",
			 vmc_name_format(&explanation.target, text));
		add_carriage(line, &explanation.verdict);
	}
	if (explanation.published)
		vmc_line_add_text(line, "published", explanation.published);
	return line;
}

static struct json_object *tell_reload(struct vmc_broker *broker,
				       struct vmc_control_reply *reply)
{
	char text[VMC_COMPLAINT_BYTES];
	struct json_object *line;

	if (vmc_reload(broker, text)) {
		reply->is_over = true;
		line = vmc_line_new("error");
		vmc_line_add_text(line, "error", text);
		return line;
	}
	line = vmc_line_new("reload");
	vmc_line_add_number(line, "rules", broker->table.config->policy->nr_rules);
	if (*text)
		vmc_line_add_text(line, "notice", text);
	return line;
}

/**
 * vmc_control_policy_next - the next line of an answer about the policy
 * @broker: the switch
 * @reply: its major counts the lines; is_over is set when a reload failed
 *
 * Return: the line, the caller's to free; NULL when all are told but the last.
 */
struct json_object *vmc_control_policy_next(struct vmc_broker *broker,
					    struct vmc_control_reply *reply)
{
	const struct vmc_policy *policy = broker->table.config->policy;
	uint32_t i = reply->major++;

	if (reply->command == VMC_CONTROL_POLICY_TEST)
		return i ? NULL : tell_verdict(broker, reply);
	if (reply->command == VMC_CONTROL_POLICY_RELOAD)
		return i ? NULL : tell_reload(broker, reply);
	if (i < policy->nr_rules)
		return tell_rule(&policy->rules[i], policy->nr_decided[i]);
	if (i >= policy->nr_rules + VMC_NR_DEFAULTS)
		return NULL;
	return tell_default(i - policy->nr_rules, policy->nr_decided[i]);
}
