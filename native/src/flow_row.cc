#include <algorithm>

#include "flow_entry.h"

extern "C" {
#include "parse.h"
}

namespace tidegate
{

// One record as a row: `source` is the side that becomes the forward direction.
void FlowTable::WriteRow(const Entry &e, EndReason reason, int64_t unix_offset, int source)
{
	SlabWriter &w = writer_;
	const int f = source, r = 1 - source;
	const bool ip =
	    e.key.kind == TG_KIND_IPV4 || e.key.kind == TG_KIND_IPV6 || e.key.kind == TG_KIND_FRAGMENT;
	const bool icmp = e.key.protocol == TG_PROTOCOL_ICMP || e.key.protocol == TG_PROTOCOL_ICMPV6;
	const bool mapped = e.key.lower_address[10] == 0xff && e.key.lower_address[11] == 0xff;
	const uint16_t forward_port = f == 0 ? e.key.lower_port : e.key.upper_port;
	const uint16_t reverse_port = f == 0 ? e.key.upper_port : e.key.lower_port;
	uint64_t start = !e.first_ns[0]			 ? e.first_ns[1]
			 : !e.first_ns[1]		 ? e.first_ns[0]
			 : e.first_ns[0] < e.first_ns[1] ? e.first_ns[0]
							 : e.first_ns[1];
	uint64_t end = 0;

	for (int d = 0; d < 2; d++) {
		if (e.packets[d] && e.last_ns[d] > end)
			end = e.last_ns[d];
	}
	if (end < start)
		end = start;
	w.Set<uint64_t>(Column::FlowId, mask_.FlowId(e.flow_id));
	w.Set<uint64_t>(Column::FlowStartNanoseconds, start + unix_offset);
	w.Set<uint64_t>(Column::FlowEndNanoseconds, end + unix_offset);
	w.Set<uint64_t>(Column::OctetDeltaCount, e.octets[f]);
	w.Set<uint64_t>(Column::PacketDeltaCount, e.packets[f]);
	w.Set<uint64_t>(Column::ReverseOctetDeltaCount, e.octets[r]);
	w.Set<uint64_t>(Column::ReversePacketDeltaCount, e.packets[r]);
	uint8_t addresses[2][16];

	mask_.Apply(f == 0 ? e.key.lower_address : e.key.upper_address, addresses[0]);
	mask_.Apply(f == 0 ? e.key.upper_address : e.key.lower_address, addresses[1]);
	w.SetBytes(Column::SourceIPv6Address, addresses[0], 16);
	w.SetBytes(Column::DestinationIPv6Address, addresses[1], 16);
	w.Set<uint32_t>(Column::IngressInterface, e.ingress_ifindex[f]);
	w.Set<uint32_t>(Column::EgressInterface, e.ingress_ifindex[r]);
	w.Set<uint32_t>(Column::TunnelId, e.key.tunnel_id);
	w.Set<uint32_t>(Column::TcpHandshakeRttMicroseconds,
			static_cast<uint32_t>((static_cast<uint64_t>(e.rtt_tick) << TG_TICK_SHIFT) / 1000));
	w.Set<uint32_t>(Column::SamplingPacketInterval, std::max(options_.sampling_interval, e.sampling));
	e.ReadBins(e.low.size[f], e.high.size[f], w.At<uint32_t>(Column::PacketSizeBins, TG_SIZE_BINS),
		   TG_SIZE_BINS);
	e.ReadBins(e.low.size[r], e.high.size[r], w.At<uint32_t>(Column::ReversePacketSizeBins, TG_SIZE_BINS),
		   TG_SIZE_BINS);
	e.ReadBins(e.low.iat[f], e.high.iat[f], w.At<uint32_t>(Column::InterArrivalBins, TG_IAT_BINS),
		   TG_IAT_BINS);
	e.ReadBins(e.low.iat[r], e.high.iat[r], w.At<uint32_t>(Column::ReverseInterArrivalBins, TG_IAT_BINS),
		   TG_IAT_BINS);
	e.ReadBins(e.low.flags[f], e.high.flags[f], w.At<uint32_t>(Column::TcpFlagCounts, TG_FLAG_COUNTS),
		   TG_FLAG_COUNTS);
	e.ReadBins(e.low.flags[r], e.high.flags[r],
		   w.At<uint32_t>(Column::ReverseTcpFlagCounts, TG_FLAG_COUNTS), TG_FLAG_COUNTS);
	int16_t payloads[TG_FIRST_PAYLOADS];

	for (int i = 0; i < TG_FIRST_PAYLOADS; i++)
		payloads[i] = f == 0 ? e.first_payload[i] : static_cast<int16_t>(-e.first_payload[i]);
	w.SetBytes(Column::FirstPayloadSizes, payloads, sizeof(payloads));
	w.Set<uint16_t>(Column::SourceTransportPort, ip && !icmp ? forward_port : 0);
	w.Set<uint16_t>(Column::DestinationTransportPort, ip && !icmp ? reverse_port : 0);
	uint16_t ethertype = e.key.kind == TG_KIND_NON_IP     ? e.key.lower_port
			     : e.key.kind == TG_KIND_UNPARSED ? e.key.upper_port
			     : mapped			      ? TG_ETHERTYPE_IPV4
							      : TG_ETHERTYPE_IPV6;
	w.Set<uint16_t>(Column::EthernetType, ethertype);
	w.Set<uint16_t>(Column::Dot1qVlanId, e.key.vlan);
	w.Set<uint16_t>(Column::Dot1qCustomerVlanId, e.key.inner_vlan);
	w.Set<uint16_t>(Column::IcmpTypeCode,
			ip && icmp ? static_cast<uint16_t>(forward_port | reverse_port) : 0);
	uint16_t bits[2] = {0, 0};

	for (int d = 0; d < 2; d++) {
		for (int i = 0; i < TG_FLAG_COUNTS; i++)
			bits[d] |= e.Counted(d, i) ? 1 << i : 0;
	}
	const bool tcp = e.key.protocol == TG_PROTOCOL_TCP;

	w.Set<uint16_t>(Column::TcpControlBits, bits[f]);
	w.Set<uint16_t>(Column::ReverseTcpControlBits, bits[r]);
	w.Set<uint16_t>(Column::MinimumTcpWindow, tcp && e.packets[f] ? e.window_min[f] : 0);
	w.Set<uint16_t>(Column::MaximumTcpWindow, e.window_max[f]);
	w.Set<uint16_t>(Column::ReverseMinimumTcpWindow, tcp && e.packets[r] ? e.window_min[r] : 0);
	w.Set<uint16_t>(Column::ReverseMaximumTcpWindow, e.window_max[r]);
	w.Set<uint16_t>(Column::TcpMaximumSegmentSize, e.mss[f]);
	w.Set<uint16_t>(Column::ReverseTcpMaximumSegmentSize, e.mss[r]);
	w.Set<uint8_t>(Column::ProtocolIdentifier, e.key.protocol);
	w.Set<uint8_t>(Column::IpVersion, !ip ? 0 : mapped ? 4 : 6);
	w.Set<uint8_t>(Column::IpClassOfService, e.tos[f]);
	w.Set<uint8_t>(Column::ReverseIpClassOfService, e.tos[r]);
	w.Set<uint8_t>(Column::MinimumTTL, e.packets[f] ? e.ttl_min[f] : 0);
	w.Set<uint8_t>(Column::MaximumTTL, e.ttl_max[f]);
	w.Set<uint8_t>(Column::ReverseMinimumTTL, e.packets[r] ? e.ttl_min[r] : 0);
	w.Set<uint8_t>(Column::ReverseMaximumTTL, e.ttl_max[r]);
	w.Set<uint8_t>(Column::TcpWindowScale, e.window_scale[f]);
	w.Set<uint8_t>(Column::ReverseTcpWindowScale, e.window_scale[r]);
	w.Set<uint8_t>(Column::FlowEndReason, static_cast<uint8_t>(reason));
	w.Set<uint8_t>(Column::BiflowDirection, e.biflow);
	w.Set<uint8_t>(Column::FlowKind, e.key.kind);
	w.Set<uint8_t>(Column::UnparsedReason,
		       e.key.kind == TG_KIND_UNPARSED ? static_cast<uint8_t>(e.key.lower_port) : 0);
	// The pipeline fills the last of these; a reused slab must not show an earlier batch's.
	const float zeros[32] = {};

	w.SetBytes(Column::PayloadHead, e.heads >> f & 1 ? static_cast<const void *>(e.head[f]) : zeros,
		   TG_HEAD_BYTES);
	w.SetBytes(Column::ReversePayloadHead,
		   e.heads >> r & 1 ? static_cast<const void *>(e.head[r]) : zeros, TG_HEAD_BYTES);

	w.Set<uint32_t>(Column::WorkloadId, 0);
	w.Set<float>(Column::WorkloadScore, 0);
	w.Set<float>(Column::ReconstructionError, 0);
	w.SetBytes(Column::Fingerprint, zeros, sizeof(zeros));
}

} // namespace tidegate
