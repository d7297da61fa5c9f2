-- Sends every CR and DX to the node. Its results have other modalities (OT, SR, SEG, KO), so nothing loops.
function OnStoredInstance(instanceId, tags, metadata, origin)
  if tags["Modality"] == "CR" or tags["Modality"] == "DX" then
    SendToModality(instanceId, "node")
  end
end
