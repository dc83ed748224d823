// Memory in whole huge pages where the system gives them: tables that are hit at random otherwise pay a page
// fault for every 4 KiB at first and a TLB miss for every look-up after.
#ifndef TIDEGATE_PAGES_H
#define TIDEGATE_PAGES_H

#include <cstddef>
#include <cstdlib>
#include <sys/mman.h>
#include <utility>

namespace tidegate
{

// Zeroed memory for `count` objects of a type for which zero octets are a valid value, at the start of a
// page. Untouched pages cost nothing.
template <typename T> class Pages
{
      public:
	explicit Pages(size_t count) : count_(count), length_(count * sizeof(T) + 2 * kHuge)
	{
		mapping_ = mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mapping_ == MAP_FAILED)
			std::abort(); // as operator new without exceptions does
		size_t start = (reinterpret_cast<size_t>(mapping_) + kHuge - 1) / kHuge * kHuge;

		data_ = reinterpret_cast<T *>(start);
		// What does not fill a large page must not occupy one.
		if (count * sizeof(T) >= kHuge)
			madvise(data_, count * sizeof(T) / kHuge * kHuge, MADV_HUGEPAGE);
	}
	~Pages()
	{
		if (mapping_)
			munmap(mapping_, length_);
	}
	Pages(const Pages &) = delete;
	Pages &operator=(const Pages &) = delete;
	Pages(Pages &&other) noexcept
	    : data_(other.data_), mapping_(std::exchange(other.mapping_, nullptr)), count_(other.count_),
	      length_(other.length_)
	{
	}
	Pages &operator=(Pages &&other) noexcept
	{
		std::swap(data_, other.data_);
		std::swap(mapping_, other.mapping_);
		std::swap(count_, other.count_);
		std::swap(length_, other.length_);
		return *this;
	}

	T *data() const { return data_; }
	T &operator[](size_t i) const { return data_[i]; }
	size_t size() const { return count_; }

      private:
	static constexpr size_t kHuge = 2 << 20;

	T *data_;
	void *mapping_;
	size_t count_, length_;
};

} // namespace tidegate

#endif
