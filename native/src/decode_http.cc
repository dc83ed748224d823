// HTTP/1 requests, RFC 9112.
#include <algorithm>
#include <array>
#include <cctype>

#include "decode.h"

namespace tidegate
{

namespace
{
constexpr size_t kMaxMethod = 16, kMaxHost = 255;

// RFC 9110 and RFC 5789, WebDAV (RFC 4918, 3253, 3648, 3744, 5323, 5842), PRI of HTTP/2 is not HTTP/1.
constexpr std::array<std::string_view, 37> kMethods = {"GET",
						       "HEAD",
						       "POST",
						       "PUT",
						       "DELETE",
						       "CONNECT",
						       "OPTIONS",
						       "TRACE",
						       "PATCH",
						       "PROPFIND",
						       "PROPPATCH",
						       "MKCOL",
						       "COPY",
						       "MOVE",
						       "LOCK",
						       "UNLOCK",
						       "SEARCH",
						       "REPORT",
						       "ACL",
						       "MKCALENDAR",
						       "BIND",
						       "UNBIND",
						       "REBIND",
						       "LINK",
						       "UNLINK",
						       "MERGE",
						       "CHECKIN",
						       "CHECKOUT",
						       "UNCHECKOUT",
						       "LABEL",
						       "UPDATE",
						       "BASELINE-CONTROL",
						       "VERSION-CONTROL",
						       "MKACTIVITY",
						       "MKWORKSPACE",
						       "ORDERPATCH",
						       "NOTIFY"};

std::string_view Trim(std::string_view text)
{
	while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
		text.remove_prefix(1);
	while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
		text.remove_suffix(1);
	return text;
}

bool IsHostHeader(std::string_view name)
{
	constexpr std::string_view host = "host";

	return name.size() == host.size() &&
	       std::equal(name.begin(), name.end(), host.begin(),
			  [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

bool Printable(std::string_view text)
{
	return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

// `http://host/path` of a request to a proxy, `host:port` of CONNECT.
std::string_view AuthorityOf(std::string_view method, std::string_view target)
{
	size_t scheme = target.find("://");

	if (scheme != std::string_view::npos && scheme < 8) {
		target.remove_prefix(scheme + 3);
		target = target.substr(0, target.find('/'));
		return target.substr(target.find('@') == std::string_view::npos ? 0 : target.find('@') + 1);
	}
	return method == "CONNECT" ? target : std::string_view();
}

void AddHost(std::string_view host, const NameFilter &name, ApplicationText *text)
{
	if (!host.empty() && host.size() <= kMaxHost && Printable(host))
		text->Add(ApplicationField::HttpRequestHost, name(host));
}
} // namespace

Decoded DecodeHttp(const uint8_t *data, size_t size, const NameFilter &name, ApplicationText *text)
{
	std::string_view stream(reinterpret_cast<const char *>(data), size);
	size_t space = stream.substr(0, kMaxMethod + 1).find(' ');

	if (space == std::string_view::npos)
		return size > kMaxMethod ||
			       !std::all_of(stream.begin(), stream.end(),
					    [](unsigned char c) { return std::isupper(c) || c == '-'; })
			   ? Decoded::Foreign
			   : Decoded::Incomplete;
	std::string_view method = stream.substr(0, space);

	if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end())
		return Decoded::Foreign;
	size_t end = stream.find('\n');
	std::string_view line = Trim(stream.substr(space, end == std::string_view::npos ? end : end - space));

	if (end == std::string_view::npos) {
		// A long target: the method alone is no proof on a port of any service.
		return Decoded::Incomplete;
	}
	size_t version = line.rfind(' ');

	if (version == std::string_view::npos || !line.substr(version + 1).starts_with("HTTP/1."))
		return Decoded::Foreign;
	text->Add(ApplicationField::HttpRequestMethod, method);
	for (size_t at = end + 1; at < stream.size();) {
		size_t next = stream.find('\n', at);

		if (next == std::string_view::npos)
			return Decoded::Incomplete;
		std::string_view header = stream.substr(at, next - at);
		size_t colon = header.find(':');

		if (Trim(header).empty()) {
			AddHost(AuthorityOf(method, Trim(line.substr(0, version))), name, text);
			return Decoded::Complete;
		}
		if (colon != std::string_view::npos && IsHostHeader(Trim(header.substr(0, colon)))) {
			AddHost(Trim(header.substr(colon + 1)), name, text);
			return Decoded::Complete;
		}
		at = next + 1;
	}
	return Decoded::Incomplete;
}

} // namespace tidegate
