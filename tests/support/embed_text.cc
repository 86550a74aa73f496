// SPDX-License-Identifier: Apache-2.0
// Prints the vector of each line of standard input as a JSON array, from the embedder that set-up made. "\n" in a line,
// as two characters, stands for a line end. For the canary test, which must know what to look for.
#include <cstdio>
#include <iostream>
#include <string>

#include "common/file.h"
#include "inference/embedder.h"
#include "inference/model_registry.h"

namespace {

namespace inference = cloister::inference;

cloister::StatusOr<std::unique_ptr<inference::Embedder>> OpenSetUpEmbedder() {
  const auto directory = inference::SetUpModelDirectory();
  CLOISTER_ASSIGN_OR_RETURN(std::string json,
                            cloister::ReadFile(directory / "manifest.json", inference::kManifestBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(auto manifest, inference::ParseManifest(json));
  CLOISTER_ASSIGN_OR_RETURN(auto info, manifest.Find(inference::ModelRole::kEmbedder));
  CLOISTER_ASSIGN_OR_RETURN(auto model, inference::VerifiedModel::Open(directory, info));
  return inference::OpenLlamaEmbedder(model);
}

std::string WithLineEnds(std::string line) {
  for (size_t at = line.find("\\n"); at != std::string::npos; at = line.find("\\n", at)) line.replace(at, 2, "\n");
  return line;
}

}  // namespace

int main() {
  auto embedder = OpenSetUpEmbedder();
  if (!embedder.ok()) {
    std::fprintf(stderr, "%s\n", cloister::MessageOf(embedder.status()).c_str());
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const auto made = (*embedder)->Embed(inference::EmbedKind::kPassage, {WithLineEnds(line)});
    if (!made.ok()) return 1;
    for (size_t i = 0; i < made->vectors.size(); ++i) {
      std::printf("%s%.9g", i == 0 ? "[" : ",", static_cast<double>(made->vectors[i]));
    }
    std::printf("]\n");
  }
  return 0;
}
