#include "kinetok/io/demonstrations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "kinetok/base/error.h"
#include "kinetok/io/hdf5_handle.h"

namespace kinetok {

using hdf5::Handle;
using hdf5::Lock;

namespace {

constexpr int64_t kMaxImageBytes = int64_t{1} << 30;
constexpr double kMaxAction = 1e100;                   // whose square, summed, is still a number
constexpr int64_t kMaxActionBytes = int64_t{1} << 30;  // in memory, of a file: 19 million steps of 7 numbers
constexpr int64_t kMaxDeflateRatio = 1032;             // what deflate makes of zeros, at most
constexpr size_t kMetadataCache = 1 << 20;             // bytes; the library's own limit, 32 MB, is 150 MB of its nodes

// The library keeps what it knows of the file's structure within bounds.
Handle OpenFile(const std::filesystem::path& path) {
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5AC_cache_config_t cache{};
  cache.version = H5AC__CURR_CACHE_CONFIG_VERSION;
  if (H5Pget_mdc_config(access.get(), &cache) < 0) return {};
  cache.set_initial_size = true;
  cache.initial_size = cache.min_size = cache.max_size = kMetadataCache;
  if (H5Pset_mdc_config(access.get(), &cache) < 0) return {};
  return {H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose};
}

// Every opening returns an invalid handle when there is no such thing.
Handle OpenGroup(hid_t at, const std::string& name) {
  if (H5Lexists(at, name.c_str(), H5P_DEFAULT) <= 0) return {};
  return {H5Gopen2(at, name.c_str(), H5P_DEFAULT), H5Gclose};
}

Handle OpenDataset(hid_t at, const std::string& name) {
  if (H5Lexists(at, name.c_str(), H5P_DEFAULT) <= 0) return {};
  return {H5Dopen2(at, name.c_str(), H5P_DEFAULT), H5Dclose};
}

// Where an object is in its file: found again in fewer steps than by its name.
hobj_ref_t Refer(const Handle& object) {
  hobj_ref_t place = 0;
  H5Rcreate(&place, object.get(), ".", H5R_OBJECT, -1);
  return place;
}

// A text attribute, of fixed or variable length; a list of texts is joined, as LIBERO does. Nothing when it is absent
// or no text.
std::optional<std::string> ReadText(hid_t at, const std::string& name) {
  constexpr size_t kMaxTexts = 10'000, kMaxBytes = 1 << 24;
  if (H5Aexists(at, name.c_str()) <= 0) return std::nullopt;
  const Handle attribute(H5Aopen(at, name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute) return std::nullopt;
  const Handle type(H5Aget_type(attribute.get()), H5Tclose);
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  if (!type || !space || H5Tget_class(type.get()) != H5T_STRING) return std::nullopt;
  const hssize_t points = H5Sget_simple_extent_npoints(space.get());
  if (points < 1 || static_cast<size_t>(points) > kMaxTexts) return std::nullopt;
  const auto count = static_cast<size_t>(points);
  std::string out;
  if (H5Tis_variable_str(type.get()) > 0) {
    std::vector<char*> texts(count);
    if (H5Aread(attribute.get(), type.get(), static_cast<void*>(texts.data())) < 0) return std::nullopt;
    for (const char* text : texts) out += text == nullptr ? "" : text;
    H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, static_cast<void*>(texts.data()));
    return out;
  }
  const size_t size = H5Tget_size(type.get());
  if (size > kMaxBytes / count) return std::nullopt;
  std::string texts(count * size, '\0');
  if (H5Aread(attribute.get(), type.get(), texts.data()) < 0) return std::nullopt;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view text = std::string_view(texts).substr(i * size, size);
    out += text.substr(0, text.find('\0'));
  }
  return out;
}

std::optional<int64_t> ReadInteger(hid_t at, const std::string& name) {
  if (H5Aexists(at, name.c_str()) <= 0) return std::nullopt;
  const Handle attribute(H5Aopen(at, name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute) return std::nullopt;
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  int64_t value = 0;
  if (!space || H5Sget_simple_extent_npoints(space.get()) != 1) return std::nullopt;
  if (H5Aread(attribute.get(), H5T_NATIVE_INT64, &value) < 0) return std::nullopt;
  return value;
}

std::vector<int64_t> Shape(const Handle& dataset) {
  const Handle space(H5Dget_space(dataset.get()), H5Sclose);
  const int rank = space ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (rank < 0 || rank > 8) return {};
  std::array<hsize_t, 8> sizes{};
  H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr);
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(rank));
  for (int i = 0; i < rank; ++i) {
    out.push_back(static_cast<int64_t>(std::min<hsize_t>(sizes[i], hsize_t{1} << 62)));
  }
  return out;
}

// "demo_2" before "demo_10": by what stands before the last digits, then by their number.
bool NameLess(const std::string& a, const std::string& b) {
  const auto split = [](const std::string& name) {
    const size_t digits = name.find_last_not_of("0123456789") + 1;
    const size_t first = std::min(name.find_first_not_of('0', digits), name.size());
    return std::tuple(name.substr(0, digits), name.size() - first, name.substr(first), name);
  };
  return split(a) < split(b);
}

std::vector<std::string> MemberNames(const Handle& group) {
  std::vector<std::string> names;
  H5Literate(
      group.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr,
      [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        return 0;
      },
      &names);
  std::sort(names.begin(), names.end(), NameLess);
  return names;
}

// LIBERO keeps the instruction in a JSON text beside other things, perhaps in pieces and in quotation marks.
std::string LiberoInstruction(const JsonObject& info) {
  constexpr std::string_view kField = "language_instruction";
  std::string text;
  if (info.json().at(kField).is_array()) {
    for (const Json& piece : info.Array(kField)) {
      if (!piece.is_string()) Fail("{}: field \"{}\" holds {}, expected text", info.source(), kField, Shorten(piece));
      text += piece.get<std::string>();
    }
  } else {
    text = info.String(kField);
  }
  const size_t first = text.find_first_not_of('"');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of('"') + 1 - first);
}

std::optional<std::string> InstructionOf(const Handle& group, const std::string& source) {
  if (auto plain = ReadText(group.get(), "language_instruction")) return plain;
  const auto text = ReadText(group.get(), "problem_info");
  if (!text) return std::nullopt;
  const Json json = ParseJson(*text, source + ": attribute problem_info");
  const JsonObject info(json, source + ": attribute problem_info");
  if (!info.Has("language_instruction")) return std::nullopt;
  return LiberoInstruction(info);
}

// Compressions that a library of its own would have to undo, such as h5py's "lzf".
void RequireFilters(const Handle& dataset, const std::string& source) {
  const Handle plan(H5Dget_create_plist(dataset.get()), H5Pclose);
  for (int i = 0; i < H5Pget_nfilters(plan.get()); ++i) {
    std::array<char, 64> name{};
    size_t values = 0;
    unsigned flags = 0, config = 0;
    const H5Z_filter_t filter = H5Pget_filter2(plan.get(), static_cast<unsigned>(i), &flags, &values, nullptr,
                                               name.size(), name.data(), &config);
    if (filter >= 0 && H5Zfilter_avail(filter) <= 0) {
      name.back() = '\0';
      Fail("{}: is compressed with filter {} ({}), which this build cannot undo; expected gzip or none", source, filter,
           name.data());
    }
  }
}

}  // namespace

struct DemonstrationFile::State {
  // Nothing stays open: each open dataset would keep 1 MB of decompressed images, and there are thousands.
  struct Found {
    hobj_ref_t group = 0, images = 0;  // where they are in the file
    std::vector<double> actions{};
  };

  std::filesystem::path path;
  std::string camera;
  Handle file, data;
  int rotation = 0;
  int64_t bytes = 0;  // of the file
  int64_t dimensions = 0, action_bytes = 0;
  std::vector<DemonstrationInfo> infos;
  std::vector<Found> found;

  State(const std::filesystem::path& p, std::string_view c) : path(p), camera(c) {}
  ~State() {  // under the lock, whatever was opened
    const Lock lock;
    data.Reset();
    file.Reset();
  }

  Handle OpenAgain(const hobj_ref_t& place, Handle::Close close) const {
    return {H5Rdereference2(file.get(), H5P_DEFAULT, H5R_OBJECT, &place), close};
  }

  void Open();
  void Add(const std::string& name, const std::optional<std::string>& shared_instruction);
  Handle OpenActions(const Handle& group, const std::string& source, DemonstrationInfo* info);
  Handle OpenImages(const Handle& group, const std::string& source, DemonstrationInfo* info) const;
  void CheckStored(const Handle& dataset, const std::vector<int64_t>& shape, const std::string& source) const;
  std::vector<double> ReadActions(const Handle& actions, int64_t steps, const std::string& source);
};

// What a shape declares must be in the file: memory is asked for by the shape.
void DemonstrationFile::State::CheckStored(const Handle& dataset, const std::vector<int64_t>& shape,
                                           const std::string& source) const {
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  const Handle plan(H5Dget_create_plist(dataset.get()), H5Pclose);
  auto declared = static_cast<double>(H5Tget_size(type.get()));
  for (const int64_t size : shape) declared *= static_cast<double>(size);
  const int64_t stored =
      static_cast<int64_t>(std::min(H5Dget_storage_size(dataset.get()), static_cast<hsize_t>(bytes)));
  const int64_t ratio = H5Pget_nfilters(plan.get()) > 0 ? kMaxDeflateRatio : 1;
  if (declared > static_cast<double>(stored * ratio)) {
    Fail("{}: has shape [{}], of which the file holds {} bytes; it is damaged or cut short", source,
         fmt::join(shape, ", "), stored);
  }
}

std::vector<double> DemonstrationFile::State::ReadActions(const Handle& actions, int64_t steps,
                                                          const std::string& source) {
  action_bytes += steps * dimensions * static_cast<int64_t>(sizeof(double));
  if (action_bytes > kMaxActionBytes) {
    Fail("{}: the file's actions take more than {} MiB of memory; expected a file of fewer steps", source,
         kMaxActionBytes >> 20);
  }
  std::vector<double> values(static_cast<size_t>(steps * dimensions));
  RequireFilters(actions, source);
  if (H5Dread(actions.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    Fail("{}: cannot be read; the file is damaged or cut short", source);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(std::abs(values[i]) <= kMaxAction)) {
      Fail("{}: step {}, dimension {} is {}, expected a finite number of at most {:g}", source,
           static_cast<int64_t>(i) / dimensions, static_cast<int64_t>(i) % dimensions, values[i], kMaxAction);
    }
  }
  return values;
}

Handle DemonstrationFile::State::OpenActions(const Handle& group, const std::string& source, DemonstrationInfo* info) {
  Handle actions = OpenDataset(group.get(), "actions");
  if (!actions) Fail("{}: has no dataset \"actions\"", source);
  const std::vector<int64_t> shape = Shape(actions);
  if (shape.size() != 2 || shape[0] < 1 || shape[1] < 1 || shape[1] > 64 || shape[0] > 10'000'000) {
    Fail("{}/actions: has shape [{}], expected [steps, dimensions]", source, fmt::join(shape, ", "));
  }
  const Handle type(H5Dget_type(actions.get()), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type.get());
  if (kind != H5T_FLOAT && kind != H5T_INTEGER) Fail("{}/actions: holds no numbers", source);
  if (dimensions == 0) dimensions = shape[1];
  if (shape[1] != dimensions) {
    Fail("{}/actions: has {} dimensions, other demonstrations of the file have {}", source, shape[1], dimensions);
  }
  CheckStored(actions, shape, source + "/actions");
  info->steps = shape[0];
  return actions;
}

Handle DemonstrationFile::State::OpenImages(const Handle& group, const std::string& source,
                                            DemonstrationInfo* info) const {
  const Handle observations = OpenGroup(group.get(), "obs");
  if (!observations) Fail("{}: has no group \"obs\"", source);
  Handle images = OpenDataset(observations.get(), camera);
  if (!images) {
    Fail("{}/obs: has no camera \"{}\", only {}", source, camera, fmt::join(MemberNames(observations), ", "));
  }
  const std::vector<int64_t> pixels = Shape(images);
  const Handle pixel(H5Dget_type(images.get()), H5Tclose);
  const bool is_bytes = H5Tget_class(pixel.get()) == H5T_INTEGER && H5Tget_size(pixel.get()) == 1;
  if (!is_bytes || pixels.size() != 4 || pixels[3] != 3 || pixels[1] < 1 || pixels[2] < 1 ||
      pixels[1] > kMaxImageSide || pixels[2] > kMaxImageSide || pixels[1] * pixels[2] * 3 > kMaxImageBytes) {
    Fail("{}/obs/{}: has shape [{}] of {}-byte values, expected [steps, height, width, 3] of bytes", source, camera,
         fmt::join(pixels, ", "), H5Tget_size(pixel.get()));
  }
  if (pixels[0] != info->steps) {
    Fail("{}/obs/{}: has {} images for {} actions", source, camera, pixels[0], info->steps);
  }
  CheckStored(images, pixels, fmt::format("{}/obs/{}", source, camera));
  RequireFilters(images, fmt::format("{}/obs/{}", source, camera));
  info->height = pixels[1];
  info->width = pixels[2];
  return images;
}

void DemonstrationFile::State::Add(const std::string& name, const std::optional<std::string>& shared_instruction) {
  const std::string source = fmt::format("{}: data/{}", path.string(), name);
  DemonstrationInfo info{.name = name, .instruction = {}, .steps = 0, .width = 0, .height = 0};
  const Handle group = OpenGroup(data.get(), name);
  if (!group) Fail("{}: is no group; expected one demonstration each", source);
  const auto instruction = InstructionOf(group, source);
  info.instruction = instruction ? *instruction : shared_instruction.value_or("");
  if (info.instruction.empty()) {
    Fail("{}: has no instruction; expected the attribute language_instruction, or problem_info of the file", source);
  }
  const Handle actions = OpenActions(group, source, &info), images = OpenImages(group, source, &info);
  found.push_back({.group = Refer(group),
                   .images = Refer(images),
                   .actions = ReadActions(actions, info.steps, source + "/actions")});
  infos.push_back(std::move(info));
}

void DemonstrationFile::State::Open() {
  if (!std::filesystem::is_regular_file(path)) Fail("{}: is no file, expected demonstrations in HDF5", path.string());
  bytes = static_cast<int64_t>(std::filesystem::file_size(path));
  if (H5Fis_hdf5(path.c_str()) <= 0) Fail("{}: is no HDF5 file", path.string());
  file = OpenFile(path);
  if (!file) Fail("{}: cannot be opened as HDF5; it is damaged or cut short", path.string());
  data = OpenGroup(file.get(), "data");
  if (!data) Fail("{}: has no group \"data\", expected the layout of LIBERO or robomimic", path.string());
  const bool libero = H5Aexists(data.get(), "bddl_file_name") > 0;
  rotation = static_cast<int>(ReadInteger(data.get(), "image_rotation").value_or(libero ? 180 : 0));
  if (rotation != 0 && rotation != 180) {
    Fail("{}: attribute image_rotation of data is {}, expected 0 or 180", path.string(), rotation);
  }
  const auto instruction = InstructionOf(data, path.string() + ": data");
  for (const std::string& name : MemberNames(data)) Add(name, instruction);
  if (infos.empty()) Fail("{}: has no demonstrations in \"data\"", path.string());
}

bool HasHdf5() {
  return true;
}

DemonstrationFile::DemonstrationFile(const std::filesystem::path& path, std::string_view camera)
    : state_(std::make_unique<State>(path, camera)) {
  const Lock lock;
  state_->Open();
}

DemonstrationFile::~DemonstrationFile() = default;
DemonstrationFile::DemonstrationFile(DemonstrationFile&&) noexcept = default;

const std::filesystem::path& DemonstrationFile::path() const {
  return state_->path;
}

const std::vector<DemonstrationInfo>& DemonstrationFile::demonstrations() const {
  return state_->infos;
}

int64_t DemonstrationFile::Find(std::string_view name) const {
  const auto at = std::find_if(state_->infos.begin(), state_->infos.end(),
                               [name](const DemonstrationInfo& info) { return info.name == name; });
  return at == state_->infos.end() ? -1 : at - state_->infos.begin();
}

int64_t DemonstrationFile::dimensions() const {
  return state_->dimensions;
}

int DemonstrationFile::image_rotation() const {
  return state_->rotation;
}

const std::vector<double>& DemonstrationFile::Actions(int64_t demonstration) const {
  return state_->found.at(static_cast<size_t>(demonstration)).actions;
}

Image DemonstrationFile::ReadImage(int64_t demonstration, int64_t step) const {
  const DemonstrationInfo& info = state_->infos.at(static_cast<size_t>(demonstration));
  KINETOK_CHECK(step >= 0 && step < info.steps);
  Image image(info.width, info.height);
  const Lock lock;
  const Handle images = state_->OpenAgain(state_->found[static_cast<size_t>(demonstration)].images, H5Dclose);
  const std::array<hsize_t, 4> start = {static_cast<hsize_t>(step), 0, 0, 0};
  const std::array<hsize_t, 4> count = {1, static_cast<hsize_t>(info.height), static_cast<hsize_t>(info.width), 3};
  const Handle file_space(H5Dget_space(images.get()), H5Sclose);
  const Handle memory_space(H5Screate_simple(4, count.data(), nullptr), H5Sclose);
  if (H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
      H5Dread(images.get(), H5T_NATIVE_UCHAR, memory_space.get(), file_space.get(), H5P_DEFAULT, image.pixels.data()) <
          0) {
    Fail("{}: data/{}/obs/{}: image {} cannot be read; the file is damaged or cut short", state_->path.string(),
         info.name, state_->camera, step);
  }
  if (state_->rotation == 180) {
    for (int64_t a = 0, b = info.width * info.height - 1; a < b; ++a, --b) {
      std::swap_ranges(image.pixels.begin() + 3 * a, image.pixels.begin() + 3 * a + 3, image.pixels.begin() + 3 * b);
    }
  }
  return image;
}

Json DemonstrationFile::Attribute(int64_t demonstration, std::string_view name) const {
  const Lock lock;
  const Handle group = state_->OpenAgain(state_->found.at(static_cast<size_t>(demonstration)).group, H5Gclose);
  const auto text = ReadText(group.get(), std::string(name));
  if (!text) return nullptr;
  return ParseJson(*text, fmt::format("{}: data/{}: attribute {}", state_->path.string(),
                                      state_->infos[static_cast<size_t>(demonstration)].name, name));
}

}  // namespace kinetok
