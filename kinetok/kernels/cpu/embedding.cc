#include "kinetok/kernels/embedding.h"

#include "kinetok/kernels/cpu/dispatch.h"

#ifdef KINETOK_TARGET

#include "kinetok/kernels/cpu/lane_loop.h"

namespace kinetok::KINETOK_TARGET {

void EmbedRows(Context& context, Span<const int32_t> ids, Rows<const float> table, Rows<float> y) {
  const int32_t* id_of = ids.data();
  ParallelFor(context, y.rows, RowGrain(y.width), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      if (id_of[i] < 0) continue;
      const float* in = table[id_of[i]];
      float* out = y[i];
      ForLanes(
          0, y.width, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, Load(in + c, part), part);
          });
    }
  });
}

// A row of packed weights is every sixteenth element of its panel; panels lie `panel_bytes` apart.
void EmbedPanels(Context& context, Span<const int32_t> ids, const std::byte* panels, int64_t panel_bytes, DType dtype,
                 Rows<float> y) {
  const int32_t* id_of = ids.data();
  ParallelFor(context, y.rows, RowGrain(y.width, 2048), [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      if (id_of[i] < 0) continue;
      const std::byte* panel = panels + id_of[i] / kLanes * panel_bytes;
      const int lane = id_of[i] % kLanes;
      float* out = y[i];
      if (dtype == DType::kF32) {
        const float* in = reinterpret_cast<const float*>(panel) + lane;
        for (int64_t c = 0; c < y.width; ++c) out[c] = in[c * kLanes];
        continue;
      }
      const uint16_t* in = reinterpret_cast<const uint16_t*>(panel) + lane;
      for (int64_t c = 0; c < y.width; c += kLanes) {
        const int n = static_cast<int>(y.width - c < kLanes ? y.width - c : kLanes);
        uint16_t narrow[kLanes] = {};
        for (int j = 0; j < n; ++j) narrow[j] = in[(c + j) * kLanes];
        StoreN(out + c, dtype == DType::kF16 ? LoadF16(narrow) : LoadBF16(narrow), n);
      }
    }
  });
}

void EmbedBackward(Context& context, Span<const int32_t> ids, Rows<const float> dy, Rows<float> dtable) {
  const int64_t width = dy.width, blocks = (width + kColumnBlock - 1) / kColumnBlock;
  const int32_t* id_of = ids.data();
  // Two rows may share an id, so threads share out columns, not rows.
  ParallelFor(context, blocks, ColumnGrain(dy.rows, width), [&](int64_t first, int64_t last, int) {
    const int64_t begin = first * kColumnBlock, end = last * kColumnBlock < width ? last * kColumnBlock : width;
    for (int64_t i = 0; i < dy.rows; ++i) {
      if (id_of[i] < 0) continue;
      const float* in = dy[i];
      float* out = dtable[id_of[i]];
      ForLanes(
          begin, end, [&](int64_t c, auto part) __attribute__((always_inline)) {
            Store(out + c, Add(Load(out + c, part), Load(in + c, part)), part);
          });
    }
  });
}

}  // namespace kinetok::KINETOK_TARGET

#else

namespace kinetok {

KINETOK_DECLARE(void, EmbedRows, (Context & context, Span<const int32_t> ids, Rows<const float> table, Rows<float> y))
void Embed(Context& context, Span<const int32_t> ids, Rows<const float> table, Rows<float> y) {
  KINETOK_CALL(EmbedRows, context, ids, table, y);
}

KINETOK_DECLARE(void, EmbedPanels,
                (Context & context, Span<const int32_t> ids, const std::byte* panels, int64_t panel_bytes, DType dtype,
                 Rows<float> y))
void Embed(Context& context, Span<const int32_t> ids, const PackedMatrix& table, Rows<float> y) {
  const int64_t panel_bytes = table.columns() * 16 * DTypeSize(table.dtype());
  KINETOK_CALL(EmbedPanels, context, ids, static_cast<const std::byte*>(table.Panel(0)), panel_bytes, table.dtype(), y);
}

KINETOK_DECLARE(void, EmbedBackward,
                (Context & context, Span<const int32_t> ids, Rows<const float> dy, Rows<float> dtable))
void EmbedBackward(Context& context, Span<const int32_t> ids, Rows<const float> dy, Rows<float> dtable) {
  KINETOK_CALL(EmbedBackward, context, ids, dy, dtable);
}

}  // namespace kinetok

#endif
