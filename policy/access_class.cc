// SPDX-License-Identifier: Apache-2.0
#include "policy/access_class.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/bytes.h"
#include "policy/principal.h"

namespace cloister::policy {
namespace {

constexpr uint8_t kAccessClassFormat = 1;
constexpr uint8_t kOnHoldFlag = 1;

Status CheckName(std::string_view name) {
  if (name.empty()) return InvalidArgument("a name in an access class is empty");
  if (name.size() > kNameBytesMax) {
    return InvalidArgument("a name in an access class has more than " + std::to_string(kNameBytesMax) +
                           " bytes");
  }
  return absl::OkStatus();
}

Status NormaliseList(std::vector<std::string>& names) {
  for (const std::string& name : names) CLOISTER_RETURN_IF_ERROR(CheckName(name));
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return absl::OkStatus();
}

void WriteList(ByteWriter& out, const std::vector<std::string>& names) {
  out.U32(static_cast<uint32_t>(names.size()));
  for (const std::string& name : names) out.String(name);
}

std::vector<std::string> ReadList(ByteReader& in) {
  const uint32_t count = in.Count(4);  // Each name has a length of four bytes at least.
  std::vector<std::string> names;
  names.reserve(count);
  for (uint32_t i = 0; i < count; ++i) names.emplace_back(in.String());
  return names;
}

}  // namespace

StatusOr<AccessClass> Normalised(AccessClass access_class) {
  CLOISTER_RETURN_IF_ERROR(CheckName(access_class.collection));
  CLOISTER_RETURN_IF_ERROR(CheckName(access_class.classification));
  CLOISTER_RETURN_IF_ERROR(NormaliseList(access_class.reader_groups));
  CLOISTER_RETURN_IF_ERROR(NormaliseList(access_class.reader_users));
  CLOISTER_RETURN_IF_ERROR(NormaliseList(access_class.regions));
  CLOISTER_RETURN_IF_ERROR(NormaliseList(access_class.purposes));
  return access_class;
}

std::string Serialise(const AccessClass& access_class) {
  ByteWriter out;
  out.U8(kAccessClassFormat);
  out.U8(access_class.on_hold ? kOnHoldFlag : 0);
  out.String(access_class.collection);
  out.String(access_class.classification);
  WriteList(out, access_class.reader_groups);
  WriteList(out, access_class.reader_users);
  WriteList(out, access_class.regions);
  WriteList(out, access_class.purposes);
  return out.Take();
}

StatusOr<AccessClass> ParseAccessClass(std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t format = in.U8();
  if (!in.failed() && format != kAccessClassFormat) {
    return FailedPrecondition("access class has format version " + std::to_string(format) +
                              "; this build reads version " + std::to_string(kAccessClassFormat));
  }
  AccessClass access_class;
  const uint8_t flags = in.U8();
  access_class.on_hold = flags == kOnHoldFlag;
  access_class.collection = in.String();
  access_class.classification = in.String();
  access_class.reader_groups = ReadList(in);
  access_class.reader_users = ReadList(in);
  access_class.regions = ReadList(in);
  access_class.purposes = ReadList(in);
  CLOISTER_RETURN_IF_ERROR(in.Finish("access class"));
  if (flags > kOnHoldFlag) return DataLoss("access class has unknown flags");
  // One class has one spelling: anything that Normalised() would change was not written by Serialise().
  auto normalised = Normalised(access_class);
  if (!normalised.ok() || !(*normalised == access_class))
    return DataLoss("access class is not in normal form");
  return access_class;
}

}  // namespace cloister::policy
