// SPDX-License-Identifier: Apache-2.0
#include "tests/access/caller_table.h"

namespace cloister::services {
namespace {

constexpr const char* kPackage = "/cloister.v1.";

}  // namespace

const std::vector<AllowedCallers>& CallerTable() {
  static const auto* const kTable = new std::vector<AllowedCallers>{
      // Who seals something owns keys; who checks or makes a signature asks for the public half.
      {"keys", "Keys/CreateKeys", {"audit", "gateway", "ingest", "retrieval", "supervisor"}},
      {"keys", "Keys/GetKeys", {"audit", "gateway", "ingest", "retrieval", "supervisor"}},
      {"keys", "Keys/GetNamedKey", {"audit", "gateway", "ingest", "retrieval", "supervisor"}},
      {"keys", "Keys/GetPublicKey", {"audit", "embedding", "gateway", "generation", "ingest", "retrieval"}},
      // Who owns what is erased destroys its keys; people rotate through gateway.
      {"keys", "Keys/DestroyKeys", {"audit", "retrieval"}},
      {"keys", "Keys/RotateEpoch", {"gateway"}},
      // Who has a database notes how far it came, and gives its rows new keys.
      {"keys", "Keys/ReplaceKeys", {"audit", "gateway", "ingest", "retrieval"}},
      {"keys", "Keys/CurrentKeys", {"audit", "gateway", "ingest", "retrieval"}},
      {"keys", "Keys/NoteRenewed", {"audit", "gateway", "ingest", "retrieval"}},
      {"keys", "Keys/DestroyFormerKeys", {"audit", "gateway", "ingest", "retrieval"}},
      {"keys", "Keys/GetFreshness", {"audit", "gateway", "ingest", "retrieval"}},
      {"keys", "Keys/NoteFreshness", {"audit", "gateway", "ingest", "retrieval"}},
      // What is suppressed stays suppressed across a restore.
      {"keys", "Keys/ChangeMarks", {"retrieval"}},
      {"keys", "Keys/ListMarks", {"retrieval"}},
      {"keys", "Keys/GetKeyringStatus", {"gateway", "supervisor"}},
      // Public halves and sealed copies come through gateway; passphrases and PINs from the supervisor alone.
      {"keys", "Keys/SetRecovery", {"gateway"}},
      {"keys", "Keys/EscrowKeyring", {"gateway"}},
      {"keys", "Keys/ChangeAnchor", {"supervisor"}},
      {"keys", "Keys/CheckSecret", {"supervisor"}},
      {"keys", "Maintenance/Examine", {"gateway"}},
      // Everybody records what he does. People read the log through gateway alone.
      {"audit",
       "Audit/Append",
       {"embedding", "gateway", "generation", "ingest", "keys", "relay", "retrieval", "supervisor"}},
      {"audit", "Audit/GetEntries", {"gateway"}},
      {"audit", "Audit/GetReceipt", {"gateway"}},
      {"audit", "Audit/Export", {"gateway"}},
      {"audit", "Audit/Unseal", {"gateway"}},
      // Only who erases documents makes the log forget; people ask through gateway who was handed something.
      {"audit", "Audit/Forget", {"retrieval"}},
      {"audit", "Audit/FindReleases", {"gateway", "retrieval"}},
      {"audit", "Audit/GetLogStatus", {"gateway", "supervisor"}},
      // Backups are asked for through gateway, which copies its own database itself.
      {"audit", "Maintenance/Checkpoint", {"gateway"}},
      {"audit", "Maintenance/DropCheckpoint", {"gateway"}},
      {"audit", "Maintenance/Examine", {"gateway"}},
      {"audit", "Maintenance/RotateKeys", {"gateway"}},
      {"audit", "Maintenance/GetKeyRotation", {"gateway"}},
      {"audit", "Maintenance/EndFormerKeys", {"gateway"}},
      {"retrieval", "Maintenance/Checkpoint", {"gateway"}},
      {"retrieval", "Maintenance/DropCheckpoint", {"gateway"}},
      {"retrieval", "Maintenance/Examine", {"gateway"}},
      {"retrieval", "Maintenance/RotateKeys", {"gateway"}},
      {"retrieval", "Maintenance/GetKeyRotation", {"gateway"}},
      {"retrieval", "Maintenance/EndFormerKeys", {"gateway"}},
      {"ingest", "Maintenance/Checkpoint", {"gateway"}},
      {"ingest", "Maintenance/DropCheckpoint", {"gateway"}},
      {"ingest", "Maintenance/Examine", {"gateway"}},
      {"ingest", "Maintenance/RotateKeys", {"gateway"}},
      {"ingest", "Maintenance/GetKeyRotation", {"gateway"}},
      {"ingest", "Maintenance/EndFormerKeys", {"gateway"}},
      // Questions come from gateway, documents from ingest.
      {"embedding", "Embedding/Embed", {"gateway", "ingest"}},
      {"embedding", "Embedding/GetEmbedder", {"gateway", "ingest", "retrieval"}},
      {"generation", "Generation/Answer", {"gateway"}},
      {"generation", "Generation/GetGenerator", {"gateway", "ingest", "retrieval"}},
      // Text goes out to gateway and comes in from ingest, never the other way round.
      {"retrieval", "Retrieval/Search", {"gateway"}},
      {"retrieval", "Retrieval/Release", {"gateway"}},
      {"retrieval", "Documents/PutDocument", {"ingest"}},
      {"retrieval", "Documents/DeleteDocument", {"ingest"}},
      {"retrieval", "Documents/ListSources", {"ingest"}},
      {"retrieval", "Documents/GetIndexStatus", {"gateway", "supervisor"}},
      {"retrieval", "Erasure/PlanErasure", {"gateway"}},
      {"retrieval", "Erasure/Erase", {"gateway"}},
      {"retrieval", "Erasure/GetErasure", {"gateway"}},
      {"retrieval", "Erasure/ListErasures", {"gateway"}},
      {"retrieval", "Erasure/RecordNotice", {"gateway"}},
      {"retrieval", "Erasure/LiftSuppression", {"gateway"}},
      {"retrieval", "Erasure/PlaceHold", {"gateway"}},
      {"retrieval", "Erasure/ReleaseHold", {"gateway"}},
      {"retrieval", "Erasure/ListHolds", {"gateway"}},
      {"retrieval", "Erasure/ShredRetired", {"gateway"}},
      {"retrieval", "Versions/ListVersions", {"gateway"}},
      {"retrieval", "Versions/ReadVersion", {"gateway"}},
      {"retrieval", "Directory/PutUser", {"gateway"}},
      {"retrieval", "Directory/DeleteUser", {"gateway"}},
      {"retrieval", "Directory/ListUsers", {"gateway"}},
      {"retrieval", "Directory/PutCollection", {"gateway"}},
      {"retrieval", "Directory/ListCollections", {"gateway", "ingest"}},
      {"ingest", "Ingest/StartJob", {"gateway"}},
      {"ingest", "Ingest/GetJob", {"gateway"}},
      {"ingest", "Ingest/CancelJob", {"gateway"}},
      {"ingest", "Ingest/ListJobs", {"gateway"}},
      {"relay", "Relay/AddCheckpoint", {"audit"}},
  };
  return *kTable;
}

const std::vector<std::string>& ListeningProcesses() {
  static const auto* const kProcesses = new std::vector<std::string>{
      "keys", "relay", "audit", "embedding", "generation", "retrieval", "ingest", "gateway"};
  return *kProcesses;
}

const std::vector<std::string>& CallersToTry() {
  // "parse" is a program without a certificate; the others at the end are nobody.
  static const auto* const kCallers = new std::vector<std::string>{
      "keys",    "audit",      "embedding", "generation", "retrieval", "ingest",
      "gateway", "relay",      "supervisor", "parse",     "stranger",  "Gateway", "x.gateway"};
  return *kCallers;
}

bool MayCall(const std::string& process, const std::string& method, const std::string& caller) {
  for (const AllowedCallers& row : CallerTable()) {
    if (row.process == process && kPackage + row.method == method) return row.callers.contains(caller);
  }
  return false;
}

}  // namespace cloister::services
