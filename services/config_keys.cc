// SPDX-License-Identifier: Apache-2.0
#include "services/config_keys.h"

namespace cloister::services {

std::vector<ConfigKey> AllConfigKeys() {
  return {
      // Appliance.
      {"appliance.name", std::string("cloister"), "name of this appliance in the audit log's origin"},
      {"appliance.tenant", std::string("main"), "name of the organisation in the audit log's origin"},
      {"appliance.region", std::string("local"), "region this node stands in"},
      // Gateway.
      {"gateway.listen", std::string("127.0.0.1:8443"), "address and port of HTTPS; empty: Unix socket only"},
      {"gateway.question_bytes_max", int64_t{2048}, "bytes of a question", 16, 8192},
      {"gateway.asks_concurrent_max", int64_t{8}, "asks under way at once; more get 429", 1, 1024},
      // Witnesses of the log.
      {"audit.witnesses", std::vector<std::string>{},
       "witnesses that cosign the log, \"VERIFIER-KEY URL\" each; empty: none, and a log that is cut back goes unseen"},
      {"audit.witness_quorum", int64_t{1}, "witnesses that must cosign before the log is written to at a start", 1, 16},
      {"audit.witness_seconds", int64_t{60}, "seconds between checkpoints that witnesses are asked to cosign", 1, 86400},
      {"audit.witness_wait_seconds", int64_t{30}, "seconds that a start waits for that many witnesses", 1, 600},
      {"relay.ca_file", std::string(""), "certificates that witnesses are trusted by, PEM; empty: the system's"},
      // Keys.
      {"keys.escrow_directory", std::string(""),
       "mounted folder on another disk for the escrowed keyring; empty: none, and a lost disk loses the "
       "keys"},
      {"keys.tpm_tcti", std::string("device:/dev/tpmrm0"),
       "where the TPM is, as the TPM software stack writes it"},
      {"keys.tpm_pcrs", std::vector<std::string>{"7"},
       "PCRs that the TPM's keys are bound to; empty: the PIN alone"},
      {"keys.rollback_counter", std::string("auto"),
       "what notices that the whole data directory is put back: auto (a TPM that is the anchor), tpm or none"},
      {"keys.pkcs11_module", std::string(""), "path of the HSM maker's PKCS#11 library"},
      {"keys.pkcs11_token", std::string(""), "label of the HSM's token"},
      // Embedding and generation.
      {"models.directory", std::string(""), "folder of models; empty: the set-up's own"},
      {"embedding.threads", int64_t{2}, "threads of the embedder", 1, 256},
      {"generation.threads", int64_t{2}, "threads of the generator", 1, 256},
      {"generation.candidates", int64_t{8}, "spans scored by the generator for one question", 1, 64},
      // Retrieval.
      {"retention.shred_hours", int64_t{24},
       "hours between destructions of the keys of superseded and deleted versions; 0: by hand only", 0, 8760},
      {"retrieval.segment_documents", int64_t{2000}, "documents that make a new index segment", 1, 1000000},
      // Ingest.
      {"ingest.parse_seconds_max", int64_t{10}, "processor seconds one file may take to parse", 1, 600},
      {"ingest.parse_memory_mib_max", int64_t{512}, "memory one file may take to parse", 64, 8192},
      {"ingest.file_bytes_max", int64_t{32 * 1024 * 1024}, "bytes of one file", 1024, 33554432},
      {"ingest.chunk_tokens", int64_t{200}, "tokens a chunk aims at", 32, 400},
  };
}

}  // namespace cloister::services
