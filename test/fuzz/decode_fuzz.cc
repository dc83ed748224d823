// libFuzzer target for the decoders of payload heads, with the sanitizers: `make fuzz`. The first octet of an
// input chooses the decoder. Checked: nothing is read out of bounds, and what is found has room in a batch.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "../../native/src/decode.h"

using namespace tidegate;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char *input, size_t size)
{
	if (size == 0)
		return 0;
	// Of its own exact size, so that the sanitizer sees one octet too many.
	size_t octets = size - 1;
	unsigned char *copy = static_cast<unsigned char *>(malloc(octets ? octets : 1));
	NameFilter plain = [](std::string_view name) { return std::string(name); };
	ApplicationText text;
	QuicCrypto crypto;

	memcpy(copy, input + 1, octets);
	switch (input[0] % 6) {
	case 0:
		DecodeTls(copy, octets, plain, &text);
		break;
	case 1:
		DecodeHttp(copy, octets, plain, &text);
		break;
	case 2:
		DecodeDns(copy, octets, false, plain, &text);
		break;
	case 3:
		DecodeDns(copy, octets, true, plain, &text);
		break;
	case 4:
		DecodeClientHello(copy, octets, 'q', plain, &text);
		break;
	default:
		// Two datagrams of one client.
		DecodeQuic(copy, octets / 2, false, plain, &crypto, &text);
		DecodeQuic(copy + octets / 2, octets - octets / 2, true, plain, &crypto, &text);
	}
	free(copy);
	if (text.octets().size() > kMaxApplicationText)
		abort();
	return 0;
}
