// SPDX-License-Identifier: GPL-2.0-only
/*
 * Circuits mapped into programs, see proto/mapping.h. A program gets the pages
 * of its own circuit and no others; while it has the control page, prod and
 * cons are its own, and send() and recv() fail with EBUSY.
 *
 * Pages are put in by the fault handler only. So when a link dies its pages can
 * be taken away again (zap_work()) before the switch hears LINK_RELEASED and
 * puts other memory there. From then on the program sees pages of its own: the
 * peer's control page says RST, what it writes goes nowhere.
 *
 * A mapping holds the file, so the socket is not closed before all is unmapped.
 * fork() does not copy it; exec and exit unmap it.
 *
 * Lock order: mmap_lock, then mappings_lock, then a socket's spinlock; and
 * mmap_lock, then vmc_mapping.lock. The socket is never owned here, for who
 * owns it may wait for mmap_lock. A fault may take as long as the program's
 * memory is short, so it holds nothing that others need, and zap_work() does
 * not run in the device's worker.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/sock.h>
#include "../../proto/mapping.h"
#include "circuit.h"
#include "compat.h"
#include "held.h"
#include "link.h"
#include "mapping.h"
#include "sock.h"

#define AREA_SHIFT	(32 - PAGE_SHIFT)

/* Index of an area, as in the VMC_MAP_ offsets. */
enum area {
	AREA_OWN,
	AREA_PEER,
	AREA_TX,
	AREA_RX,
	NR_AREAS
};

struct area_place {
	unsigned long pfn;	/* of the first page */
	unsigned long nr_pages;	/* a ring's come twice */
};

/**
 * struct vmc_mapping - what a socket's programs have mapped
 *
 * From the first mmap() until the last area is unmapped.
 */
struct vmc_mapping {
	/* Fixed after creation. */
	struct area_place areas[NR_AREAS];
	struct sock *sk;		/* held by the files of the areas */
	struct address_space *files;	/* where the kernel finds the areas */
	void *bin;			/* a page that takes what is written */
	struct vmc_ctl *last_words;	/* the peer's, when it is lost */
	struct work_struct zap_work;

	struct rw_semaphore lock;	/* readers put pages in */
	bool is_lost;			/* under it */

	/* zap_work(), and whoever ends the mapping. */
	struct vmc_link *link;		/* NULL: lost, and zapped */

	/* mappings_lock. */
	unsigned int nr_areas;		/* mapped now */
	unsigned int nr_controls;	/* of these, AREA_OWN */
};

/* To begin and to end mappings. */
static DEFINE_MUTEX(mappings_lock);

static enum area area_of(struct vm_area_struct *vma)
{
	return vma->vm_pgoff >> AREA_SHIFT;
}

static bool area_is_writable(enum area area)
{
	return area == AREA_OWN || area == AREA_TX;
}

static unsigned long area_pages(const struct vmc_mapping *mapping,
				enum area area)
{
	bool is_ring = area == AREA_TX || area == AREA_RX;

	return mapping->areas[area].nr_pages * (is_ring ? 2 : 1);
}

/*
 * No fault puts in the link's pages once is_lost is set, and those that are in
 * are found here.
 */
static void zap_work(struct work_struct *work)
{
	struct vmc_mapping *mapping = container_of(work, struct vmc_mapping,
						   zap_work);

	down_write(&mapping->lock);
	mapping->is_lost = true;
	up_write(&mapping->lock);
	unmap_mapping_range(mapping->files, 0, 0, 1);
	vmc_link_put(mapping->link);
	mapping->link = NULL;
}

static void mapping_free(struct vmc_mapping *mapping)
{
	if (mapping->link)
		vmc_link_put(mapping->link);
	free_page((unsigned long)mapping->bin);
	free_page((unsigned long)mapping->last_words);
	kfree(mapping);
}

static void area_set(struct area_place *area, phys_addr_t segment, u64 offset,
		     u32 bytes)
{
	area->pfn = PHYS_PFN(segment + offset);
	area->nr_pages = bytes >> PAGE_SHIFT;
}

static void mapping_place(struct vmc_mapping *mapping,
			  const struct vmc_circuit *circuit)
{
	const struct vmc_link *link = circuit->link;
	struct area_place *areas = mapping->areas;
	u64 ctl = (const u8 *)circuit->own - (const u8 *)link->tx;

	area_set(&areas[AREA_OWN], link->tx_address, ctl, PAGE_SIZE);
	area_set(&areas[AREA_PEER], link->rx_address, ctl, PAGE_SIZE);
	area_set(&areas[AREA_TX], link->tx_address,
		 circuit->tx - (const u8 *)link->tx, circuit->tx_bytes);
	area_set(&areas[AREA_RX], link->rx_address,
		 circuit->rx - (const u8 *)link->rx, circuit->rx_bytes);
}

static struct vmc_mapping *mapping_alloc(void)
{
	struct vmc_mapping *mapping = kzalloc(sizeof(*mapping), GFP_KERNEL);

	if (!mapping)
		return NULL;
	init_rwsem(&mapping->lock);
	INIT_WORK(&mapping->zap_work, zap_work);
	mapping->bin = (void *)get_zeroed_page(GFP_KERNEL);
	mapping->last_words = (void *)get_zeroed_page(GFP_KERNEL);
	if (!mapping->bin || !mapping->last_words) {
		mapping_free(mapping);
		return NULL;
	}
	mapping->last_words->flags = cpu_to_le32(VMC_CTL_RST | VMC_CTL_GONE);
	return mapping;
}

/* With mappings_lock. The socket's mapping, made now if need be. */
static struct vmc_mapping *mapping_get(struct sock *sk, struct file *file)
{
	struct vmc_mapping *mapping = vmc_sk(sk)->mapping;
	struct vmc_circuit *circuit;
	int err = -ENOTCONN;

	if (mapping)
		return READ_ONCE(mapping->is_lost) ? ERR_PTR(err) : mapping;
	mapping = mapping_alloc();
	if (!mapping)
		return ERR_PTR(-ENOMEM);
	mapping->sk = sk;
	mapping->files = file->f_mapping;
	spin_lock_bh(&sk->sk_lock.slock);
	circuit = vmc_sock_circuit(sk);
	/* Whoever owns the socket may be letting the circuit go. */
	if (sock_owned_by_user(sk)) {
		err = -EAGAIN;
	} else if (circuit && !READ_ONCE(circuit->link->is_dead)) {
		mapping->link = vmc_link_hold(circuit->link);
		mapping_place(mapping, circuit);
		vmc_sk(sk)->mapping = mapping;
	}
	spin_unlock_bh(&sk->sk_lock.slock);
	if (mapping->link)
		return mapping;
	mapping_free(mapping);
	return ERR_PTR(err);
}

/* With mappings_lock. Ends the mapping if no area is left. */
static struct vmc_mapping *mapping_put(struct vmc_mapping *mapping)
{
	struct sock *sk = mapping->sk;

	if (mapping->nr_areas)
		return NULL;
	spin_lock_bh(&sk->sk_lock.slock);
	vmc_sk(sk)->mapping = NULL;
	spin_unlock_bh(&sk->sk_lock.slock);
	return mapping;
}

/* What mapping_put() returned, without the lock, for which the work may wait. */
static void mapping_end(struct vmc_mapping *mapping)
{
	if (!mapping)
		return;
	cancel_work_sync(&mapping->zap_work);
	mapping_free(mapping);
}

static int area_check(const struct vmc_mapping *mapping,
		      struct vm_area_struct *vma)
{
	enum area area = area_of(vma);

	if (vma_pages(vma) != area_pages(mapping, area))
		return -EINVAL;
	if (((vma->vm_flags & VM_WRITE) && !area_is_writable(area)) ||
	    (vma->vm_flags & VM_EXEC))
		return -EACCES;
	return 0;
}

/* The indexes become the program's, unless a system call moves them now. */
static int control_give(struct sock *sk)
{
	struct vmc_circuit *circuit;
	int err = 0;

	spin_lock_bh(&sk->sk_lock.slock);
	circuit = vmc_sock_circuit(sk);
	if (sock_owned_by_user(sk))
		err = -EAGAIN;
	else if (!circuit)
		err = -ENOTCONN;
	if (!err) {
		vmc_held_push(sk);
		WRITE_ONCE(circuit->is_mapped, true);
	}
	spin_unlock_bh(&sk->sk_lock.slock);
	return err;
}

static void control_take(struct sock *sk)
{
	struct vmc_sock *vs = vmc_sk(sk);

	spin_lock_bh(&sk->sk_lock.slock);
	set_bit(VMC_DEFERRED_UNMAPPED, &vs->deferred);
	if (!sock_owned_by_user(sk))
		vmc_mapping_run_deferred(sk);
	spin_unlock_bh(&sk->sk_lock.slock);
}

/**
 * vmc_mapping_run_deferred - the program gave the indexes back
 * @sk: as in vmc_sock_run_deferred()
 */
void vmc_mapping_run_deferred(struct sock *sk)
{
	struct vmc_circuit *circuit = vmc_sock_circuit(sk);

	if (!test_and_clear_bit(VMC_DEFERRED_UNMAPPED, &vmc_sk(sk)->deferred) ||
	    !circuit)
		return;
	vmc_circuit_adopt(circuit);
	vmc_sock_update(sk);
}

static void area_count(struct vmc_mapping *mapping,
		       struct vm_area_struct *vma)
{
	mapping->nr_areas++;
	if (area_of(vma) == AREA_OWN)
		mapping->nr_controls++;
}

/* A part of an area, or all of it elsewhere. */
static void area_open(struct vm_area_struct *vma)
{
	struct vmc_mapping *mapping = vma->vm_private_data;

	mutex_lock(&mappings_lock);
	area_count(mapping, vma);
	mutex_unlock(&mappings_lock);
}

/* Its pages are out of the page tables already. */
static void area_close(struct vm_area_struct *vma)
{
	struct vmc_mapping *mapping = vma->vm_private_data;

	mutex_lock(&mappings_lock);
	mapping->nr_areas--;
	if (area_of(vma) == AREA_OWN && !--mapping->nr_controls)
		control_take(mapping->sk);
	mapping = mapping_put(mapping);
	mutex_unlock(&mappings_lock);
	mapping_end(mapping);
}

static unsigned long area_pfn(const struct vmc_mapping *mapping,
			      struct vm_area_struct *vma,
			      unsigned long address)
{
	const struct area_place *area = &mapping->areas[area_of(vma)];
	pgoff_t page = linear_page_index(vma, address) &
		       ((1UL << AREA_SHIFT) - 1);

	if (mapping->is_lost)
		return PHYS_PFN(__pa(area_is_writable(area_of(vma)) ?
				     mapping->bin : mapping->last_words));
	return area->pfn + page % area->nr_pages;
}

/* The first touch of an area brings all its pages. */
static vm_fault_t area_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct vmc_mapping *mapping = vma->vm_private_data;
	unsigned long address;
	vm_fault_t ret;

	down_read(&mapping->lock);
	ret = vmf_insert_pfn(vma, vmf->address,
			     area_pfn(mapping, vma, vmf->address));
	for (address = vma->vm_start;
	     address < vma->vm_end && ret == VM_FAULT_NOPAGE;
	     address += PAGE_SIZE)
		ret = vmf_insert_pfn(vma, address,
				     area_pfn(mapping, vma, address));
	up_read(&mapping->lock);
	return ret;
}

static const struct vm_operations_struct area_ops = {
	.open	= area_open,
	.close	= area_close,
	.fault	= area_fault,
};

/**
 * vmc_mapping_map - the mmap() system call
 * @file: of the socket
 * @sock: ours
 * @vma: what was asked for
 *
 * Return: 0; -ENODEV for a socket that is not a circuit, as for most sockets;
 * -ENOTCONN without a connection; -EINVAL for no whole area or a private
 * mapping; -EACCES for writing where the peer writes, and for code; -EAGAIN
 * while another thread is in a system call on the socket; -ENOMEM.
 */
int vmc_mapping_map(struct file *file, struct socket *sock,
		    struct vm_area_struct *vma)
{
	struct vmc_mapping *mapping;
	struct sock *sk = sock->sk;
	int err;

	if (READ_ONCE(vmc_sk(sk)->is_fallback))
		return -ENODEV;
	if (vma->vm_pgoff >> AREA_SHIFT >= NR_AREAS ||
	    vma->vm_pgoff & ((1UL << AREA_SHIFT) - 1) ||
	    !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	mutex_lock(&mappings_lock);
	mapping = mapping_get(sk, file);
	err = PTR_ERR_OR_ZERO(mapping);
	if (err)
		goto unlock;
	err = area_check(mapping, vma);
	if (!err && area_of(vma) == AREA_OWN)
		err = control_give(sk);
	if (err) {
		mapping = mapping_put(mapping);
		goto unlock;
	}
	area_count(mapping, vma);
	vma->vm_private_data = mapping;
	vma->vm_ops = &area_ops;
	vm_flags_set(vma, VM_PFNMAP | VM_DONTCOPY | VM_DONTEXPAND |
		     VM_DONTDUMP);
	if (!area_is_writable(area_of(vma)))
		vm_flags_clear(vma, VM_MAYWRITE);
	vm_flags_clear(vma, VM_MAYEXEC);
	mapping = NULL;
unlock:
	mutex_unlock(&mappings_lock);
	if (!IS_ERR(mapping))
		mapping_end(mapping);
	return err;
}

/**
 * vmc_mapping_lose - the link of a socket's circuit died
 * @sk: owned, or its spinlock held; still has its circuit
 *
 * The link stays until the programs have its pages no more.
 */
void vmc_mapping_lose(struct sock *sk)
{
	struct vmc_mapping *mapping = vmc_sk(sk)->mapping;

	if (mapping)
		queue_work(system_unbound_wq, &mapping->zap_work);
}

static int ring_peer(struct sock *sk)
{
	struct vmc_circuit *circuit;

	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit)
		vmc_link_ring(circuit->link, circuit->slot);
	rcu_read_unlock();
	return circuit ? 0 : -ENOTCONN;
}

static int info_copy(struct sock *sk, void __user *to)
{
	struct vmc_map_info info = { };
	struct vmc_circuit *circuit;

	rcu_read_lock();
	circuit = rcu_dereference(vmc_sk(sk)->circuit);
	if (circuit) {
		info.tx_bytes = circuit->tx_bytes;
		info.rx_bytes = circuit->rx_bytes;
	}
	rcu_read_unlock();
	if (!info.tx_bytes)
		return -ENOTCONN;
	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : 0;
}

/**
 * vmc_mapping_ioctl - the ioctl() requests of proto/mapping.h
 * @sk: ours
 * @cmd: any request
 * @arg: its argument
 *
 * Return: 0; -ENOIOCTLCMD for requests of others; -ENOTTY for a socket that is
 * no circuit, which is what the kernel's own sockets say; -ENOTCONN, -EFAULT.
 */
int vmc_mapping_ioctl(struct sock *sk, unsigned int cmd, unsigned long arg)
{
	if (cmd != VMC_IOC_MAP_INFO && cmd != VMC_IOC_RING)
		return -ENOIOCTLCMD;
	if (READ_ONCE(vmc_sk(sk)->is_fallback))
		return -ENOTTY;
	if (cmd == VMC_IOC_RING)
		return ring_peer(sk);
	return info_copy(sk, (void __user *)arg);
}
