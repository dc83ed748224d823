#include "head_reader.h"

#include <cstring>

namespace tidegate
{

size_t HeadReader::Read(size_t room, const HeadSink &sink)
{
	uint64_t at = ring_.consumed(), end = ring_.produced();
	size_t count = 0;
	RingMap::Record record;

	for (; at < end && count < room && ring_.Read(at, &record); at = record.end) {
		if (record.discarded || record.length < sizeof(tg_head))
			continue;
		tg_head head;

		std::memcpy(&head, record.data, sizeof(head));
		sink(head, record.data + sizeof(head));
		count++;
	}
	ring_.Consume(at);
	return count;
}

} // namespace tidegate
