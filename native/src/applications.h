// What payload heads tell about flows, until the flow's records have left: header fields by rule, and what
// the built-in decoders find. Beside the flow table and bounded: when there is no room a flow goes without,
// and says so in a counter; no packet and no record depends on it. One thread owns it.
#ifndef TIDEGATE_APPLICATIONS_H
#define TIDEGATE_APPLICATIONS_H

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

extern "C" {
#include "flow_abi.h"
}
#include "application_source.h"
#include "application_text.h"
#include "decode.h"
#include "name_filter.h"

namespace tidegate
{

// A header field that somebody asked for: octets at a place in the first payload of one side.
struct HeaderRule {
	std::string name;
	uint8_t protocol;
	uint16_t port; // 0 = any
	uint8_t side;  // TG_HEAD_TO_PORT or TG_HEAD_FROM_PORT
	uint16_t offset;
	std::vector<uint8_t> mask; // as long as the field
};

// Which services a decoder looks at.
struct DecoderPorts {
	bool any = false;
	std::vector<uint16_t> ports;

	bool On() const { return any || !ports.empty(); }
	bool Has(uint16_t port) const;
};

struct ApplicationOptions {
	DecoderPorts tls, http, dns, quic;
	std::vector<HeaderRule> rules;
	uint32_t max_flows;
	uint64_t idle_ns; // a UDP flow that was silent for longer is another one
	AddressMaskOptions addresses{};
};

// Every head that is read ends in exactly one of the first six.
#define TG_APPLICATION_COUNTERS(X)                                                                           \
	X(headsUsed)                                                                                         \
	X(headsForeign)	 /* of no protocol that is looked for */                                             \
	X(headsUnneeded) /* all that was wanted was known */                                                 \
	X(headsRepeated) /* had come before */                                                               \
	X(headsOrphaned) /* what comes before them in the stream is missing */                               \
	X(headsNoRoom)	 /* too many streams are waiting for their rest */                                   \
	X(flowsEvicted)	 /* forgotten because more flows than there is room for have something to tell */    \
	X(fieldsShort)	 /* a rule's octets lie beyond the payload or what is kept of it */                  \
	X(fieldsNoRoom)	 /* a flow carries too much already */

struct ApplicationCounters {
#define TG_FIELD(name) uint64_t name = 0;
	TG_APPLICATION_COUNTERS(TG_FIELD)
#undef TG_FIELD
	uint64_t flows = 0; // held now
};

class Applications final : public ApplicationSource
{
      public:
	explicit Applications(const ApplicationOptions &options);
	~Applications() override;

	// A head and its head.octets octets. Heads of a flow come in order, and before the records that
	// count their packets.
	void Head(const tg_head &head, const uint8_t *payload);

	const std::string *Find(const tg_flow_key &key, uint64_t last_ns) const override;
	void End(const tg_flow_key &key, uint64_t last_ns) override;

	ApplicationCounters counters() const;

      private:
	struct Stream;
	struct Flow;
	struct KeyHash {
		size_t operator()(const tg_flow_key &key) const;
		tg_u32 secret[TG_SECRET_WORDS];
	};
	struct KeyEqual {
		bool operator()(const tg_flow_key &a, const tg_flow_key &b) const;
	};
	using Flows = std::unordered_map<tg_flow_key, std::unique_ptr<Flow>, KeyHash, KeyEqual>;

	uint8_t Candidates(const tg_head &head) const;
	Flow *FlowOf(const tg_head &head);
	void Erase(Flows::iterator at);
	void ReadRules(const tg_head &head, const uint8_t *payload, Flow &flow);
	void ReadStream(const tg_head &head, const uint8_t *payload, Flow &flow);
	void ReadDatagram(const tg_head &head, const uint8_t *payload, Flow &flow);
	void Account(Stream &stream);
	void Release(Stream &stream);
	void Settle(Stream &stream, const Flow &flow);
	void ForgetForeign(const tg_flow_key &key);

	ApplicationOptions options_;
	NameMask names_;
	NameFilter filter_;
	Flows flows_;
	std::list<tg_flow_key> order_; // the longest silent first
	size_t pending_ = 0;	       // octets of streams that wait for their rest
	ApplicationCounters counters_;
};

} // namespace tidegate

#endif
