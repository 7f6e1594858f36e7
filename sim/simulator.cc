#include "sim/simulator.h"

#include <fmt/format.h>
#include <mujoco/mujoco.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "kinetok/base/error.h"

namespace kinetok::sim {
namespace {

constexpr int kSubsteps = 100;  // of 2 ms
constexpr int kRamp = 60;       // the target moves for so many of them, then the gripper settles
constexpr int kPoseSize = 6;    // the gripper's first coordinates: x, y, z, yaw, pitch, roll
constexpr int kLeft = 6, kRight = 7, kControls = 8;
constexpr double kTouch = 5e-4;  // metres between surfaces that count as touching

[[noreturn]] void OnError(const char* message) {
  Fail("MuJoCo: {}", message);
}
void OnWarning(const char*) {}  // MuJoCo would write a file; CheckPhysics reads its counters

// MuJoCo's memory. A simulator takes a megabyte in a few pieces and gives them back after an episode; from the heap,
// small allocations in between would keep the holes from being used again, and recording would take gigabytes. So large
// pieces come from the system itself. In front of each piece stands its size, 0 for one from the heap.
constexpr size_t kAlignment = 64, kLarge = size_t{1} << 16;

void* Allocate(size_t bytes) {
  const size_t total = (bytes + 2 * kAlignment - 1) / kAlignment * kAlignment;
  const bool large = total >= kLarge;
  void* at = large ? mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                   : std::aligned_alloc(kAlignment, total);
  if (at == nullptr || at == MAP_FAILED) return nullptr;
  *static_cast<size_t*>(at) = large ? total : 0;
  return static_cast<std::byte*>(at) + kAlignment;
}

void Release(void* piece) {
  if (piece == nullptr) return;
  void* at = static_cast<std::byte*>(piece) - kAlignment;
  const size_t total = *static_cast<size_t*>(at);
  if (total > 0) {
    munmap(at, total);
  } else {
    std::free(at);
  }
}

void InstallHandlers() {
  static std::once_flag once;
  std::call_once(once, [] {
    mju_user_malloc = Allocate;
    mju_user_free = Release;
    mju_user_error = OnError;
    mju_user_warning = OnWarning;
  });
}

struct Vfs {
  explicit Vfs(const std::string& xml) {
    mj_defaultVFS(files.get());
    if (mj_makeEmptyFileVFS(files.get(), "scene.xml", static_cast<int>(xml.size())) != 0) Fail("MuJoCo: no memory");
    std::memcpy(files->filedata[0], xml.data(), xml.size());
  }
  ~Vfs() { mj_deleteVFS(files.get()); }
  Vfs(const Vfs&) = delete;
  Vfs& operator=(const Vfs&) = delete;

  std::unique_ptr<mjVFS> files = std::make_unique<mjVFS>();
};

mjModel* LoadScene(const std::string& xml) {
  InstallHandlers();
  const Vfs vfs(xml);
  std::array<char, 1000> fault{};
  mjModel* model = mj_loadXML("scene.xml", vfs.files.get(), fault.data(), static_cast<int>(fault.size()));
  if (model == nullptr) Fail("scene: MuJoCo says: {}", fault.data());
  return model;
}

// How far the shape reaches up and down from its middle, with rotation `mat` (row-major).
double VerticalExtent(Shape shape, const mjtNum* mat) {
  const auto h = HalfSize(shape);
  const double zx = std::abs(mat[6]), zy = std::abs(mat[7]), zz = std::abs(mat[8]);
  switch (shape) {
    case Shape::kBall:
      return h[0];
    case Shape::kCylinder:
      return h[2] * zz + h[0] * std::sqrt(std::max(0.0, 1 - zz * zz));
    case Shape::kCube:
    case Shape::kBar:
      break;
  }
  return h[0] * zx + h[1] * zy + h[2] * zz;
}

}  // namespace

int WorldState::held() const {
  for (size_t i = 0; i < objects.size(); ++i) {
    if (objects[i].held() && objects[i].bottom > 0.005) return static_cast<int>(i);
  }
  return -1;
}

void Simulator::Free::operator()(mjModel_* model) const {
  mj_deleteModel(model);
}
void Simulator::Free::operator()(mjData_* data) const {
  mj_deleteData(data);
}

Simulator::Simulator(const Scene& scene) : scene_(scene), model_(LoadScene(SceneXml(scene))) {
  data_.reset(mj_makeData(model_.get()));
  if (data_ == nullptr) Fail("scene: MuJoCo has no memory for it");
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    const std::string name = "object" + std::to_string(i);
    body_.push_back(mj_name2id(model_.get(), mjOBJ_BODY, name.c_str()));
    geom_.push_back(mj_name2id(model_.get(), mjOBJ_GEOM, name.c_str()));
  }
  mjData* d = data_.get();
  const GripperPose& g = scene.gripper;
  const std::array<double, kControls> start = {
      g.x, g.y, g.z, g.yaw, g.pitch, g.roll, scene.open ? kFingerTravel : 0, scene.open ? kFingerTravel : 0};
  std::copy(start.begin(), start.end(), d->qpos);
  std::copy(start.begin(), start.end(), d->ctrl);
  // The gripper's weight is carried, so that it stays where it is.
  const int gripper = mj_name2id(model_.get(), mjOBJ_BODY, "gripper");
  d->qfrc_applied[2] = -model_->opt.gravity[2] * model_->body_subtreemass[gripper];
  Derive();
}

Simulator::~Simulator() = default;
Simulator::Simulator(Simulator&&) noexcept = default;
Simulator& Simulator::operator=(Simulator&&) noexcept = default;

void Simulator::Step(std::span<const double> action) {
  if (action.size() != kActionSize) {
    Fail("action: {} numbers; expected 7: dx, dy, dz, droll, dpitch, dyaw, gripper", action.size());
  }
  for (size_t i = 0; i < action.size(); ++i) {
    if (!std::isfinite(action[i])) Fail("action: number {} is {}; expected a finite one", i, action[i]);
  }
  mjData* d = data_.get();
  const double start = d->time;                                           // MuJoCo sets everything back when it fails
  constexpr std::array<int, kPoseSize> kFromAction = {0, 1, 2, 5, 4, 3};  // the action turns about x first
  constexpr std::array<double, kPoseSize> kLow = {-kGripperReach, -kGripperReach, kGripperLow,
                                                  -kMaxYaw,       -kMaxTilt,      -kMaxTilt};
  constexpr std::array<double, kPoseSize> kHigh = {kGripperReach, kGripperReach, kGripperHigh,
                                                   kMaxYaw,       kMaxTilt,      kMaxTilt};
  std::array<double, kPoseSize> from{}, to{};
  for (size_t i = 0; i < kPoseSize; ++i) {
    const double limit = i < 3 ? kMaxMove : kMaxTurn;
    from[i] = d->qpos[i];
    to[i] =
        std::clamp(from[i] + std::clamp(action[static_cast<size_t>(kFromAction[i])], -limit, limit), kLow[i], kHigh[i]);
  }
  d->ctrl[kLeft] = d->ctrl[kRight] = action[6] >= 0.5 ? kFingerTravel : 0;
  for (int step = 1; step <= kSubsteps; ++step) {
    const double share = std::min(1.0, static_cast<double>(step) / kRamp);
    for (size_t i = 0; i < kPoseSize; ++i) d->ctrl[i] = from[i] + (to[i] - from[i]) * share;
    mj_step(model_.get(), d);
  }
  CheckPhysics(start);
  Derive();
}

void Simulator::CheckPhysics(double time) const {
  const auto warned = [&](int kind) { return data_->warning[kind].number > 0; };
  if (warned(mjWARN_CONTACTFULL) || warned(mjWARN_CNSTRFULL)) {
    throw PhysicsError(fmt::format("simulator: more things touch at {:.1f} s than MuJoCo has room for", time));
  }
  for (const int kind : {mjWARN_INERTIA, mjWARN_BADQPOS, mjWARN_BADQVEL, mjWARN_BADQACC, mjWARN_BADCTRL}) {
    if (warned(kind)) throw PhysicsError(fmt::format("simulator: the physics became unstable at {:.1f} s", time));
  }
}

void Simulator::Derive() {
  const mjModel* m = model_.get();
  mjData* d = data_.get();
  // Positions, contacts and velocities, but not the contact forces: solving for them would change the state. MuJoCo
  // also normalises the quaternions whenever it uses them, which may change a last bit each time: they are put back.
  const std::vector<double> positions(d->qpos, d->qpos + m->nq);
  mj_fwdPosition(m, d);
  mj_fwdVelocity(m, d);
  std::copy(positions.begin(), positions.end(), d->qpos);
  state_.gripper = {d->qpos[0], d->qpos[1], d->qpos[2], d->qpos[5], d->qpos[4], d->qpos[3]};
  state_.opening = d->qpos[kLeft] + d->qpos[kRight];
  state_.objects.assign(body_.size(), {});
  const int left = mj_name2id(m, mjOBJ_GEOM, "left"), right = mj_name2id(m, mjOBJ_GEOM, "right");
  for (size_t i = 0; i < body_.size(); ++i) {
    ObjectState& object = state_.objects[i];
    const mjtNum* position = d->xpos + 3 * body_[i];
    const mjtNum* mat = d->xmat + 9 * body_[i];
    const double extent = VerticalExtent(scene_.objects[i].shape, mat);
    object.position = {position[0], position[1], position[2]};
    object.yaw = std::atan2(-mat[1], mat[4]);
    object.bottom = position[2] - extent;
    object.top = position[2] + extent;
    std::array<mjtNum, 6> velocity{};  // turning, then moving
    mj_objectVelocity(m, d, mjOBJ_BODY, body_[i], velocity.data(), 0);
    object.speed = std::hypot(velocity[3], velocity[4], velocity[5]);
    for (int c = 0; c < d->ncon; ++c) {
      const mjContact& contact = d->contact[c];
      if (contact.dist > kTouch || (contact.geom1 != geom_[i] && contact.geom2 != geom_[i])) continue;
      const int other = contact.geom1 == geom_[i] ? contact.geom2 : contact.geom1;
      object.left |= other == left;
      object.right |= other == right;
    }
  }
}

bool Simulator::InSight(size_t object) const {
  const mjModel* m = model_.get();
  const mjData* d = data_.get();
  const mjtNum* middle = d->xpos + 3 * body_.at(object);
  const mjtNum* turn = d->xmat + 9 * body_[object];
  const auto half = HalfSize(scene_.objects[object].shape);
  constexpr int kCorners = 4, kSeen = 4;
  constexpr double kShare = 0.7;  // of the way to a side
  int seen = 0;
  for (int corner = 0; corner <= kCorners; ++corner) {
    std::array<mjtNum, 3> point = {middle[0], middle[1], middle[2]};
    if (corner < kCorners) {
      const size_t axis = corner < 2 ? 0 : 1;
      const double away = (corner % 2 == 0 ? 1 : -1) * kShare * half[axis];
      for (size_t i = 0; i < 3; ++i) point[i] += turn[3 * i + axis] * away;
    }
    std::array<mjtNum, 3> ray{}, local{};
    mju_sub3(ray.data(), point.data(), d->cam_xpos);
    mju_rotVecMatT(local.data(), ray.data(), d->cam_xmat);  // looks along -z
    const double reach = -local[2] * std::tan(m->cam_fovy[0] * mjPI / 360);
    int hit = -1;
    mj_ray(m, d, d->cam_xpos, ray.data(), nullptr, 1, -1, &hit);
    seen += static_cast<int>(hit == geom_[object] && std::abs(local[0]) < reach && std::abs(local[1]) < reach);
  }
  return seen >= kSeen;
}

std::vector<double> Simulator::Save() const {
  const mjModel* m = model_.get();
  const mjData* d = data_.get();
  std::vector<double> saved = {d->time};
  saved.insert(saved.end(), d->qpos, d->qpos + m->nq);
  saved.insert(saved.end(), d->qvel, d->qvel + m->nv);
  saved.insert(saved.end(), d->qacc_warmstart, d->qacc_warmstart + m->nv);
  saved.insert(saved.end(), d->ctrl, d->ctrl + m->nu);
  return saved;
}

void Simulator::Load(std::span<const double> saved) {
  const mjModel* m = model_.get();
  mjData* d = data_.get();
  const auto nq = static_cast<size_t>(m->nq), nv = static_cast<size_t>(m->nv), nu = static_cast<size_t>(m->nu);
  const size_t expected = 1 + nq + 2 * nv + nu;
  if (saved.size() != expected) Fail("state: {} numbers; this scene's have {}", saved.size(), expected);
  for (size_t i = 0; i < saved.size(); ++i) {
    if (!std::isfinite(saved[i])) Fail("state: number {} is {}; expected a finite one", i, saved[i]);
  }
  const double* from = saved.data();
  d->time = *from++;
  std::copy_n(from, nq, d->qpos);
  std::copy_n(from + nq, nv, d->qvel);
  std::copy_n(from + nq + nv, nv, d->qacc_warmstart);
  std::copy_n(from + nq + 2 * nv, nu, d->ctrl);
  Derive();
}

}  // namespace kinetok::sim
