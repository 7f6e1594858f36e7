#include "sim/renderer.h"

#include <GL/osmesa.h>
#include <mujoco/mujoco.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "kinetok/base/error.h"

namespace kinetok::sim {
namespace {

constexpr int kMaxGeoms = 64, kGripperGroup = 2;
constexpr double kSpotRadius = 0.008, kLineWidth = 0.0018;
constexpr std::array<float, 4> kSpotColor = {0.05F, 0.05F, 0.05F, 1};

// The first surface straight below the gripper's point, what it holds aside.
double HeightBelow(const Simulator& simulator) {
  const mjModel* m = simulator.model();
  mjData* d = simulator.data();
  const GripperPose& g = simulator.state().gripper;
  const int held = simulator.state().held();
  const int excluded = held < 0 ? -1 : mj_name2id(m, mjOBJ_BODY, ("object" + std::to_string(held)).c_str());
  const std::array<mjtNum, 3> from = {g.x, g.y, g.z}, down = {0, 0, -1};
  int geom = -1;
  std::array<mjtByte, mjNGROUP> groups{};  // everything but the gripper
  groups.fill(1);
  groups[kGripperGroup] = 0;
  const double distance = mj_ray(m, d, from.data(), down.data(), groups.data(), 1, excluded, &geom);
  return distance < 0 ? 0 : g.z - distance;
}

void AddGeom(mjvScene& scene, int type, const std::array<mjtNum, 3>& size, const std::array<mjtNum, 3>& position) {
  if (scene.ngeom >= scene.maxgeom) return;
  mjvGeom& geom = scene.geoms[scene.ngeom++];
  mjv_initGeom(&geom, type, size.data(), position.data(), nullptr, kSpotColor.data());
  geom.category = mjCAT_DECOR;  // casts no shadow
  geom.objtype = mjOBJ_UNKNOWN;
  geom.segid = scene.ngeom - 1;
}

}  // namespace

struct Renderer::State {
  explicit State(int64_t side) : size(side), pixels(side, side), window(static_cast<size_t>(side * side * 4)) {
    // Rasteriser threads would fight the model for cores, and cost more than they save on small pictures.
    setenv("LP_NUM_THREADS", "0", /*overwrite=*/0);
    mesa.reset(OSMesaCreateContextExt(OSMESA_RGBA, 24, 8, 0, nullptr));
    if (mesa == nullptr) Fail("renderer: OSMesa gives no context");
    MakeCurrent();
    // Only the lights' and the picture's settings of a model matter here: one context serves every scene.
    const Simulator empty{Scene{}};
    empty.model()->vis.global.offwidth = empty.model()->vis.global.offheight = static_cast<int>(side);
    mjr_defaultContext(&context);
    mjr_makeContext(empty.model(), &context, mjFONTSCALE_100);
    mjr_setBuffer(mjFB_OFFSCREEN, &context);
    mjv_defaultScene(&scene);
    mjv_makeScene(empty.model(), &scene, kMaxGeoms);
    scene.flags[mjRND_REFLECTION] = 0;
    scene.flags[mjRND_SKYBOX] = 0;
    scene.flags[mjRND_SHADOW] = 1;
    mjv_defaultOption(&option);
    mjv_defaultCamera(&camera);
    camera.type = mjCAMERA_FIXED;
    camera.fixedcamid = 0;
  }
  ~State() {
    mjv_freeScene(&scene);
    if (mesa != nullptr && OSMesaMakeCurrent(mesa.get(), window.data(), GL_UNSIGNED_BYTE, Side(), Side())) {
      mjr_freeContext(&context);
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  GLsizei Side() const { return static_cast<GLsizei>(size); }
  void MakeCurrent() {
    if (!OSMesaMakeCurrent(mesa.get(), window.data(), GL_UNSIGNED_BYTE, Side(), Side())) {
      Fail("renderer: OSMesa cannot draw pictures of {} x {} pixels", size, size);
    }
  }

  struct Destroy {
    void operator()(osmesa_context* c) const { OSMesaDestroyContext(c); }
  };
  int64_t size;
  Image pixels;                 // upside down, as OpenGL gives it
  std::vector<uint8_t> window;  // OSMesa wants one; MuJoCo draws into a buffer of its own
  std::unique_ptr<osmesa_context, Destroy> mesa;
  mjrContext context{};
  mjvScene scene{};
  mjvOption option{};
  mjvCamera camera{};
};

Renderer::Renderer(int64_t size) {
  if (size < kMinRenderSize || size > kMaxRenderSize) {
    Fail("image_size is {}; expected {} to {}", size, kMinRenderSize, kMaxRenderSize);
  }
  state_ = std::make_unique<State>(size);
}

Renderer::~Renderer() = default;
Renderer::Renderer(Renderer&&) noexcept = default;
Renderer& Renderer::operator=(Renderer&&) noexcept = default;

int64_t Renderer::size() const {
  return state_->size;
}

void Renderer::Draw(const Simulator& simulator) {
  State& s = *state_;
  s.MakeCurrent();
  mjv_updateScene(simulator.model(), simulator.data(), &s.option, nullptr, &s.camera, mjCAT_ALL, &s.scene);
  const GripperPose& g = simulator.state().gripper;
  const double below = HeightBelow(simulator);
  AddGeom(s.scene, mjGEOM_CYLINDER, {kSpotRadius, 0.0004, 0}, {g.x, g.y, below + 0.0006});
  if (g.z > below) {
    AddGeom(s.scene, mjGEOM_CYLINDER, {kLineWidth, (g.z - below) / 2, 0}, {g.x, g.y, (g.z + below) / 2});
  }
  const mjrRect whole = {0, 0, s.Side(), s.Side()};
  mjr_render(whole, &s.scene, &s.context);
  mjr_readPixels(s.pixels.pixels.data(), nullptr, whole, &s.context);
}

Image Renderer::Render(const Simulator& simulator) {
  Draw(simulator);
  State& s = *state_;
  Image image(s.size, s.size);
  for (int64_t y = 0; y < s.size; ++y) std::copy_n(s.pixels.row(s.size - 1 - y), 3 * s.size, image.row(y));
  return image;
}

std::vector<int> Renderer::Segment(const Simulator& simulator) {
  State& s = *state_;
  s.scene.flags[mjRND_SEGMENT] = s.scene.flags[mjRND_IDCOLOR] = 1;  // pixels are 1 + segid
  Draw(simulator);
  s.scene.flags[mjRND_SEGMENT] = s.scene.flags[mjRND_IDCOLOR] = 0;
  const mjModel* m = simulator.model();
  std::vector<int> seen_as(static_cast<size_t>(m->ngeom), kTable), at_pixel;
  for (int geom = 0; geom < m->ngeom; ++geom) {
    if (m->geom_group[geom] == kGripperGroup) seen_as[static_cast<size_t>(geom)] = kGripper;
  }
  const auto name = [&](const std::string& geom, int as) {
    seen_as.at(static_cast<size_t>(mj_name2id(m, mjOBJ_GEOM, geom.c_str()))) = as;
  };
  for (size_t i = 0; i < simulator.scene().objects.size(); ++i) name("object" + std::to_string(i), static_cast<int>(i));
  for (size_t i = 0; i < simulator.scene().zones.size(); ++i) {
    name("zone" + std::to_string(i), kFirstZone + static_cast<int>(i));
  }
  std::map<int, int> of_segment;
  for (int i = 0; i < s.scene.ngeom; ++i) {
    const mjvGeom& geom = s.scene.geoms[i];
    of_segment[geom.segid] = geom.objtype == mjOBJ_GEOM ? seen_as.at(static_cast<size_t>(geom.objid)) : kSpot;
  }
  for (int64_t y = s.size - 1; y >= 0; --y) {
    const uint8_t* row = s.pixels.row(y);
    for (int64_t x = 0; x < s.size; ++x, row += 3) {
      const auto found = of_segment.find(row[0] + (row[1] << 8) + (row[2] << 16) - 1);
      at_pixel.push_back(found == of_segment.end() ? kTable : found->second);
    }
  }
  return at_pixel;
}

}  // namespace kinetok::sim
