// Table look-up: ids in, rows out.
#pragma once

#include "kinetok/kernels/context.h"
#include "kinetok/kernels/matmul.h"
#include "kinetok/tensor/views.h"

namespace kinetok {

// y[i] = table[ids[i]]; every id below table.rows (checked by the caller); where it is negative, y[i] stays as it is.
//                                                                                                     y [ids, width]
void Embed(Context& context, Span<const int32_t> ids, Rows<const float> table, Rows<float> y);
// The same from packed weights of any dtype (a tied head is read from the same panels).
void Embed(Context& context, Span<const int32_t> ids, const PackedMatrix& table, Rows<float> y);
// dtable[ids[i]] += dy[i], i ascending; rows with negative ids are left out.
void EmbedBackward(Context& context, Span<const int32_t> ids, Rows<const float> dy, Rows<float> dtable);

}  // namespace kinetok
